"""A ledger of the test's own, and a mail server that takes everything."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from app.ledger import engine as ledger
from tests.notify.relay import Relay, running


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Connections to an empty, migrated ledger."""
    found = ledger.connect(database_url)
    yield found
    found.dispose()


@pytest.fixture
def relay() -> Iterator[Relay]:
    """A mail server that takes everything."""
    with running(Relay()) as found:
        yield found
