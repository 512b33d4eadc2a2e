"""Messages of tickets that have not been completed, for what their canvases will call."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

#: How many messages one page holds, by whether they are larger than this. A call may have some ten megabytes, and
#: who reads them is a completer: a thousand of such at once would end it.
_LARGE_BYTES: Final = 64 * 1024
_PAGES: Final = {"<=": 1000, ">": 4}


@dataclass(frozen=True, slots=True)
class Canvas:
    """A message's body, as it came."""

    body: bytes
    content_type: str
    content_encoding: str


def canvases(connection: Connection) -> Iterator[Canvas]:
    """One of each waiting ticket, streamed; direct calls have none that we would publish."""
    for is_size, page in _PAGES.items():
        rows = connection.execute(
            text(f"""
                SELECT body, content_type, content_encoding FROM ticket
                WHERE state IN ('open', 'ready') AND octet_length(body) {is_size} :bytes
            """),  # noqa: S608 - one of two constants
            {"bytes": _LARGE_BYTES},
            execution_options={"yield_per": page},
        )
        for row in rows:
            yield Canvas(bytes(row.body), row.content_type, row.content_encoding)
