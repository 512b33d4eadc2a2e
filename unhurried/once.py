"""Make an effect single under repeated delivery: whoever asks first for a result may act on it."""

import re
from typing import Any, Final
from uuid import UUID

from unhurried.binding import bound_app, key_prefix, redis_answers, redis_of
from unhurried.errors import CallError

_CONSUMER: Final = re.compile("[A-Za-z0-9_.-]{1,64}")
#: Results are replayed from the ledger long after Redis has let go of them.
_REDIS_LIFETIME_S: Final = 400 * 24 * 3600
#: What `once(..., connection=)` writes to; Django's is made by a migration of `unhurried.django`.
TABLE: Final = "CREATE TABLE IF NOT EXISTS unhurried_once (id varchar(128) NOT NULL PRIMARY KEY)"
# Both parts of an id are of a few plain characters: nothing in it could end the literal.
_INSERT: Final = "INSERT INTO unhurried_once (id) VALUES ('{id}') ON CONFLICT DO NOTHING"

#: Of psycopg and psycopg2: in no transaction.
_PSYCOPG_IDLE: Final = 0


def once(consumer: str, result_id: str | UUID | None, *, connection: Any = None) -> bool:
    """Whether this consumer may act on this result now: True the first time, False ever after.

    The mark is a row in *your own transaction*, committed with the effect or rolled back with it, so that
    an effect that failed is tried again and one that succeeded is never repeated; a second delivery at the
    same moment waits for the first to end. With Django that is `unhurried.django` in INSTALLED_APPS, inside
    `transaction.atomic()`. Elsewhere `connection` is a DB-API or SQLAlchemy connection or session, on
    PostgreSQL or SQLite, in which `unhurried.ONCE_TABLE` was run once.

    With neither, the mark is in Redis and is set before the effect: never repeated, but lost with the
    process that dies in between, and forgotten by a Redis that is emptied.

    Raises CallError for a consumer or an id that is none, and outside of a transaction: in Django, and over a
    connection that commits each statement at once; ServiceUnavailable where the mark would be in Redis and Redis does not answer.
    """
    mark = _mark(consumer, result_id)
    if connection is not None:
        return _insert(connection, mark)
    if _django_is_ready():
        from unhurried.django.marking import first  # noqa: PLC0415 - only a Django caller has it

        return first(mark)
    app = bound_app()
    with redis_answers("ask again before you act"):
        key = f"{key_prefix(app)}unhurried:acted:{mark}"
        return bool(redis_of(app).set(key, "1", nx=True, ex=_REDIS_LIFETIME_S))


def _mark(consumer: str, result_id: str | UUID | None) -> str:
    if not isinstance(consumer, str) or not _CONSUMER.fullmatch(consumer):
        raise CallError(
            f"consumer={consumer!r}: a name of letters, digits, '_', '.' and '-', at most 64"
        )
    try:
        return f"{consumer}:{UUID(str(result_id))}"
    except ValueError:
        raise CallError(f"result_id={result_id!r} is none: take it from result.result_id") from None


def _insert(connection: Any, mark: str) -> bool:
    statement = _INSERT.format(id=mark)
    if hasattr(connection, "connection") and callable(connection.connection):
        connection = connection.connection()  # a SQLAlchemy session's
    if hasattr(connection, "exec_driver_sql"):
        if not connection.in_transaction():
            connection.exec_driver_sql("SELECT 1")  # SQLAlchemy begins with the first statement
        # Versions before 1.4.24 do not say it.
        _require_transaction(getattr(connection.connection, "driver_connection", None))
        return bool(connection.exec_driver_sql(statement).rowcount)
    _require_transaction(getattr(connection, "connection", connection))
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
        return bool(cursor.rowcount)
    finally:
        cursor.close()


def _require_transaction(driver: Any) -> None:
    """Refuse a connection in autocommit mode, unless its user has begun a transaction on it."""
    # -1 is sqlite3's own word for "as isolation_level says"; Python 3.11 has nothing else.
    autocommit = getattr(driver, "autocommit", -1)
    if hasattr(driver, "in_transaction"):
        autocommit = driver.isolation_level is None if autocommit == -1 else autocommit
        is_idle = not driver.in_transaction
    else:
        status = getattr(getattr(driver, "info", None), "transaction_status", None)
        is_idle = status == _PSYCOPG_IDLE
    if autocommit is True and is_idle:
        raise CallError(
            "once() marks in your own transaction, and this connection commits each statement at once: an "
            "effect that fails would never be tried again. Begin a transaction, and act inside of it"
        )


def _django_is_ready() -> bool:
    try:
        from django.apps import apps  # noqa: PLC0415 - only a Django caller has it
    except ImportError:
        return False
    return bool(apps.ready and apps.is_installed("unhurried.django"))
