"""Messages of tickets that have not been completed, for what their canvases will call."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Canvas:
    """A message's body, as it came."""

    body: bytes
    content_type: str
    content_encoding: str


def canvases(connection: Connection) -> Iterator[Canvas]:
    """One of each waiting ticket, streamed; direct calls have none that we would publish."""
    rows = connection.execute(
        text("""
            SELECT body, content_type, content_encoding FROM ticket
            WHERE state IN ('open', 'ready')
        """),
        execution_options={"yield_per": _PAGE},
    )
    for row in rows:
        yield Canvas(bytes(row.body), row.content_type, row.content_encoding)
