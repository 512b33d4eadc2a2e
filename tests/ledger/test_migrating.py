"""A ledger is migrated while processes use it: they go on, and so does the migration in the end."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest

from app.ledger import migrate
from app.ledger.migrate import LedgerBusyError, Patience
from dev.servers import create_database
from tests.support import databases
from tests.support.waiting import wait_until

#: A release from before columns were added to `job`.
OLD = "0017"
#: Shorter than in production, and long enough to be seen.
PATIENCE = Patience(lock_s=1.0, rest_s=0.2, tries_max=100)
REVISION: LiteralString = "SELECT version_num FROM alembic_version"


@pytest.fixture
def old_url(postgres_url: str) -> Iterator[str]:
    """A ledger of that release."""
    url = create_database(postgres_url, f"old_{uuid4().hex}")
    migrate.upgrade(url, to=OLD)
    yield url
    databases.drop(postgres_url, url)


def connected(url: str) -> psycopg.Connection[Any]:
    """Somebody who uses it."""
    return psycopg.connect(url.replace("+psycopg", ""))


def test_nobody_waits_long_behind_a_migration_that_waits(old_url: str) -> None:
    """
    Somebody reads for long, and the migration cannot have the table: whoever writes goes on meanwhile.
    """
    with (
        ThreadPoolExecutor(1) as apart,
        connected(old_url) as reader,
        connected(old_url) as writer,
        connected(old_url) as watcher,
    ):
        reader.execute("SELECT count(*) FROM job")
        migrating = apart.submit(migrate.upgrade, old_url, patience=PATIENCE)
        wait_until(lambda: _waits(watcher), within_s=30, what="the migration to wait")
        writer.execute("SET lock_timeout = '20s'")
        writer.execute("DELETE FROM job")
        writer.rollback()
        assert not migrating.done()
        assert (OLD,) == watcher.execute(REVISION).fetchone()
        watcher.rollback()

        reader.rollback()
        migrating.result(60)
        assert (OLD,) != watcher.execute(REVISION).fetchone()


def test_a_table_that_stays_in_use_is_said_to_be(old_url: str) -> None:
    """
    Nothing has changed then, and the same command goes on later.
    """
    with connected(old_url) as reader:
        reader.execute("SELECT count(*) FROM job")
        with pytest.raises(LedgerBusyError, match="nothing has been changed: end what"):
            migrate.upgrade(old_url, patience=Patience(lock_s=0.1, rest_s=0.0, tries_max=2))
        assert (OLD,) == reader.execute(REVISION).fetchone()
    migrate.upgrade(old_url)
    migrate.check(old_url)


def _waits(watcher: psycopg.Connection[Any]) -> bool:
    found = watcher.execute(
        "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
    ).fetchone()
    watcher.rollback()
    return found is not None
