"""When each worker last looked. One short statement of its own, outside the transactions of the work."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, text

from app.policy.standing import Round

_STARTED = text("""
    INSERT INTO round (name, period_s, last_started_at, host)
    VALUES (:name, :period_s, clock_timestamp(), :host)
    ON CONFLICT (name) DO UPDATE SET
      period_s = excluded.period_s, last_started_at = excluded.last_started_at, host = excluded.host
""")
_SUCCEEDED = text("""
    INSERT INTO round (name, period_s, last_started_at, last_succeeded_at, host)
    VALUES (:name, :period_s, clock_timestamp(), clock_timestamp(), :host)
    ON CONFLICT (name) DO UPDATE SET
      period_s = excluded.period_s, last_succeeded_at = excluded.last_succeeded_at,
      last_started_at = coalesce(round.last_started_at, excluded.last_started_at),
      host = excluded.host
""")
_FAILED = text("""
    INSERT INTO round (name, period_s, last_started_at, last_failed_at, last_error, host)
    VALUES (:name, :period_s, clock_timestamp(), clock_timestamp(), :error, :host)
    ON CONFLICT (name) DO UPDATE SET
      period_s = excluded.period_s, last_failed_at = excluded.last_failed_at,
      last_error = excluded.last_error, host = excluded.host
""")


def started(engine: Engine, name: str, *, period_s: float, host: str) -> None:
    """A look begins; committed at once. May be repeated."""
    _note(engine, _STARTED, {"name": name, "period_s": period_s, "host": host})


def succeeded(engine: Engine, name: str, *, period_s: float, host: str) -> None:
    """A look ended well; committed at once. May be repeated."""
    _note(engine, _SUCCEEDED, {"name": name, "period_s": period_s, "host": host})


def failed(engine: Engine, name: str, *, period_s: float, host: str, error: str) -> None:
    """A look ended in an error, told by its class alone; committed at once. May be repeated."""
    row = {"name": name, "period_s": period_s, "host": host, "error": error}
    _note(engine, _FAILED, row)


def _note(engine: Engine, statement: object, row: dict[str, object]) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(statement, row)  # type: ignore[call-overload]  # a text of this module


def read(connection: Connection) -> Sequence[Round]:
    """Every worker that ever looked."""
    rows = connection.execute(
        text("""
            SELECT name, period_s, last_started_at AS started_at,
                   last_succeeded_at AS succeeded_at, last_failed_at AS failed_at,
                   last_error AS error, host
            FROM round ORDER BY name LIMIT 100
        """)
    )
    return [Round(**row._asdict()) for row in rows]
