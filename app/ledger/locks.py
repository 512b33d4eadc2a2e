"""Locks that save work. Safety is in the constraints; a lock lost early costs an idle query."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

from sqlalchemy import Connection, Engine, text


@contextmanager
def only_one(engine: Engine, name: str) -> Iterator[bool]:
    """Yield whether this process alone holds `name` among all that share the ledger.

    A session-level advisory lock: the server frees it in the instant its holder dies, so that no
    lease has to run out before somebody else goes on. Holds one idle connection meanwhile.
    """
    key = _key(name)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        held = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar()
        try:
            yield bool(held)
        finally:
            if held:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})


def is_held(connection: Connection, name: str) -> bool:
    """Whether some process holds `name` now. Takes nothing, so nobody is kept from it."""
    key = _key(name) & 0xFFFFFFFFFFFFFFFF
    found: bool = connection.execute(
        text("""
            SELECT EXISTS (
              SELECT FROM pg_locks
              WHERE locktype = 'advisory' AND objsubid = 1 AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND classid = CAST(:high AS bigint)::oid AND objid = CAST(:low AS bigint)::oid
            )
        """),
        {"high": key >> 32, "low": key & 0xFFFFFFFF},
    ).scalar_one()
    return found


def _key(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
