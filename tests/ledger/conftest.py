"""A ledger of the test's own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from app.ledger import engine as ledger


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Connections to an empty, migrated ledger."""
    found = ledger.connect(database_url)
    yield found
    found.dispose()
