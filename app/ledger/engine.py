"""Connections to the ledger."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

#: Threads of one process share these; a worker has at most 16 threads that touch the ledger briefly.
_POOL_SIZE = 10
_POOL_OVERFLOW = 10
#: A ledger that does not answer is down; waiting longer only hides it.
_CONNECT_TIMEOUT_S = 5
_STATEMENT_TIMEOUT_MS = 120_000
#: A host that is gone says nothing more, and TCP by itself would wait for it for two hours: the connection
#: breaks after half a minute and three probes, or when what was sent stays unacknowledged for a minute.
_LIVENESS: Final = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

_T = TypeVar("_T")


def connect(
    database_url: str, *, synchronous_commit: bool = True, pool_pre_ping: bool = True
) -> Engine:
    """The engine of one process. Opens nothing until first used.

    `synchronous_commit=False` is for tests alone: a lost intent is a batch bought twice. So is
    `pool_pre_ping=False`: a connection that died meanwhile is then noticed by whoever uses it.
    """
    options = f"-c statement_timeout={_STATEMENT_TIMEOUT_MS} -c timezone=UTC"
    if not synchronous_commit:
        options += " -c synchronous_commit=off"
    return create_engine(
        database_url,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_pre_ping=pool_pre_ping,
        pool_recycle=1800,
        # An error's text ends in logs, and the parameters are requests and answers.
        hide_parameters=True,
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_S, "options": options, **_LIVENESS},
    )


def now(connection: Connection) -> datetime:
    """The ledger's clock: the one clock that all processes share. Aware UTC."""
    moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment


def bound(connection: Connection, *, timeout_ms: int) -> None:
    """Let no statement of this transaction take longer; one that would raises OperationalError."""
    connection.execute(text(f"SET LOCAL statement_timeout = {timeout_ms:d}"))


def cause(error: SQLAlchemyError) -> str:
    """What kind of error it is, and no more: a driver's message may hold the address, and what was asked."""
    return type(getattr(error, "orig", None) or error).__name__


def certainly(engine: Engine, step: Callable[[Connection], _T]) -> _T:
    """What a transaction returns, which is run once more where its connection broke.

    A COMMIT without a reply may have been done or not. For steps that are the same when they are done twice,
    and whose doing must be known before the process goes on. Raises DBAPIError where it breaks again.
    """
    try:
        with engine.begin() as connection:
            return step(connection)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    with engine.begin() as connection:
        return step(connection)
