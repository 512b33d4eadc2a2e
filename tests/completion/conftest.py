"""The service's side of a completion: a ledger, its Celery app, and what completes and restores."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import redis
from celery import Celery
from sqlalchemy import Engine

from app.celery import build
from app.completion.celery_end import CeleryEnd
from app.completion.complete import Completer, Lease
from app.completion.latest import Latest
from app.completion.restore import Restorer
from app.completion.runs import RunCounter
from app.ledger import engine as ledger
from app.settings import Settings
from tests.client.apps import closed


@dataclass(frozen=True)
class Service:
    """What completes tickets and brings results back, over real servers."""

    engine: Engine
    app: Celery
    client: Any
    completer: Completer
    restorer: Restorer
    counter: RunCounter


@pytest.fixture
def service(database_url: str, redis_url: str, redis_client: redis.Redis) -> Iterator[Service]:
    """Parts as the wiring puts them together."""
    engine = ledger.connect(database_url)
    app = build(Settings(redis_url=redis_url, database_url=database_url))
    latest = Latest(client=redis_client, key_prefix="")
    common: dict[str, Any] = {
        "engine": engine,
        "client": redis_client,
        "key_prefix": "",
        "latest": latest,
    }
    counter = RunCounter(engine=engine, client=redis_client, key_prefix="")
    yield Service(
        engine=engine,
        app=app,
        client=redis_client,
        completer=Completer(
            celery_end=CeleryEnd(app), lease=Lease(span=timedelta(seconds=60)), **common
        ),
        restorer=Restorer(app=app, counts=counter, **common),
        counter=counter,
    )
    closed(app)
    engine.dispose()
