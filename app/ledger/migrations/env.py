"""How Alembic reaches the ledger: always online, always in one transaction."""

from alembic import context
from sqlalchemy import NullPool, create_engine, text

from app.ledger.schema import metadata

#: Two deployments that start at once migrate one after the other.
_MIGRATION_LOCK = 7_236_514_880_123


def _run() -> None:
    engine = create_engine(context.config.attributes["database_url"], poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata, compare_type=True)
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            connection.execute(
                text("SELECT set_config('lock_timeout', :ms, true)"),
                {"ms": str(context.config.attributes.get("lock_timeout_ms", 0))},
            )
            context.run_migrations()


_run()
