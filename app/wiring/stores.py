"""Where a process keeps things: the ledger, Redis, and what callers have attached."""

from functools import cache
from typing import Any

import redis
from sqlalchemy import Engine

from app.ledger import engine as ledger
from app.ledger import sweeping
from app.providers.attached import Attached
from app.settings import settings
from unhurried import storage


@cache
def engine() -> Engine:
    """The ledger's connections."""
    return ledger.connect(settings().database_url)


@cache
def deployment() -> str:
    """What marks our batches: the deployment's name, and which ledger it has. Asks the ledger once."""
    with engine().connect() as connection:
        return f"{settings().deployment}/{sweeping.origin(connection)}"


@cache
def client() -> Any:
    """Redis, for what does not go through Celery. Keys get their prefix where they are made."""
    return redis.Redis.from_url(
        settings().redis_url, socket_timeout=15, socket_connect_timeout=5, health_check_interval=25
    )


@cache
def attached() -> Attached:
    """Reads what callers have attached."""
    url = settings().storage
    return Attached(storage.at(url) if url is not None else None)
