"""Counting requests to providers."""

from collections.abc import Mapping
from functools import cache, partial

from app.ledger import measures
from app.observe.counts import Counts, Key
from app.providers.counted import Note
from app.wiring.stores import engine


@cache
def counts() -> Counts:
    """The counts of this process."""
    return Counts(_write)


def requests() -> Note:
    """Notes one request to a provider: whose, which operation, what it meant, what HTTP said."""
    return partial(counts().note, "provider_requests")


def _write(counted: Mapping[Key, int]) -> None:
    with engine().begin() as connection:
        measures.add(connection, counted)
