"""Transactions that other processes' locks may cross."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from app.ledger import engine as ledger

#: How often a page is tried that another process's locks have crossed.
_TRIES_MAX: Final = 5
#: PostgreSQL's word for two transactions that wait for each other.
_DEADLOCK: Final = "40P01"

Made = TypeVar("Made")


def steadily(engine: Engine, do: Callable[[Connection, datetime], Made]) -> Made:
    """One transaction; again where another process's locks have crossed it."""
    for number in range(1, _TRIES_MAX + 1):
        try:
            with engine.begin() as connection:
                return do(connection, ledger.now(connection))
        except DBAPIError as error:
            crossed = getattr(error.orig, "sqlstate", None) == _DEADLOCK
            if not crossed or number == _TRIES_MAX:
                raise
    raise AssertionError("the last try returns or raises")
