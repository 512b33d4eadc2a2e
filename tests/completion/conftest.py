"""The service's side of a completion: a ledger, its Celery app, and what completes and restores."""

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from celery import Celery, _state
from sqlalchemy import Engine

from app.celery import build
from app.changing.decisions import Decisions
from app.changing.results import Results
from app.changing.revocations import Revocations
from app.completion.celery_end import CeleryEnd
from app.completion.chords import Chords
from app.completion.complete import Completer, Lease
from app.completion.latest import Latest
from app.completion.redis_loss import RedisLoss
from app.completion.redis_mark import RedisMark
from app.completion.restore import Restorer
from app.completion.runs import RunCounter
from app.completion.telling_again import TellingAgain, following
from app.intake.announcer import Announcer
from app.intake.pump import Pump
from app.intake.unadmitted import Unadmitted
from app.ledger import engine as ledger
from app.ledger.redelivery import Mark
from app.settings import Settings
from dev.fault_proxy import FaultProxy
from tests.client.apps import closed
from tests.support.factories import RULES
from unhurried.contract import QUEUES, Tier


@dataclass(frozen=True)
class Service:
    """What completes tickets and brings results back, over real servers."""

    engine: Engine
    app: Celery
    #: Where callers find it, and what it shares with them.
    redis_url: str
    client: Any
    completer: Completer
    restorer: Restorer
    counter: RunCounter
    chords: Chords
    mark: RedisMark
    loss: RedisLoss
    announcer: Announcer
    pump: Pump
    decisions: Decisions
    results: Results
    telling_again: TellingAgain
    revocations: Revocations


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
    chords = a_chord_keeper(engine, app, redis_client)
    announcer = Announcer(app=app, client=redis_client, key_prefix="", wake=lambda: None)
    loss = RedisLoss(
        engine=engine, chords=chords, client=redis_client, backend=app.backend, key_prefix=""
    )
    mark = RedisMark(redis_client, "")
    celery_end = CeleryEnd(app)
    restorer = Restorer(app=app, counts=counter, **common)
    decisions = Decisions(engine=engine, wake=lambda: None)
    yield Service(
        engine=engine,
        app=app,
        redis_url=redis_url,
        client=redis_client,
        completer=Completer(
            celery_end=celery_end, mark=mark, lease=Lease(span=timedelta(seconds=60)), **common
        ),
        restorer=restorer,
        counter=counter,
        chords=chords,
        mark=mark,
        loss=loss,
        announcer=announcer,
        decisions=decisions,
        results=Results(engine=engine, decisions=decisions, follows=following),
        telling_again=TellingAgain(
            engine=engine, celery_end=celery_end, restorer=restorer, mark=mark
        ),
        revocations=Revocations(
            engine=engine, client=redis_client, key_prefix="", wake=lambda: None
        ),
        pump=a_pump(engine, announcer, redis_client, known_as=mark.known_as),
    )
    closed(app)
    engine.dispose()


def a_chord_keeper(engine: Engine, app: Celery, client: Any) -> Chords:
    """One that waits for no claim but those that Redis shows."""
    return Chords(
        engine=engine,
        celery_end=CeleryEnd(app),
        client=client,
        backend=app.backend,
        mark=RedisMark(client, ""),
        claim_s=0,
    )


@pytest.fixture
def proxy(service: Service) -> Iterator[FaultProxy]:
    """Between a completer and Redis."""
    port = urlsplit(service.redis_url).port
    assert port is not None
    with FaultProxy(port) as found:
        yield found


@pytest.fixture
def proxied(service: Service, proxy: FaultProxy) -> Iterator[Celery]:
    """The service's app, through the proxy."""
    url = urlsplit(service.redis_url)
    through = url._replace(netloc=f"{url.hostname}:{proxy.port}").geturl()
    built = build(Settings(redis_url=through, database_url=str(service.engine.url)))
    yield built
    closed(built)


@pytest.fixture
def ledger_proxy(service: Service) -> Iterator[FaultProxy]:
    """Between a completer and the ledger."""
    port = service.engine.url.port
    assert port is not None
    with FaultProxy(port) as found:
        yield found


@pytest.fixture
def proxied_engine(service: Service, ledger_proxy: FaultProxy) -> Iterator[Engine]:
    """Connections to the ledger, through the proxy."""
    url = service.engine.url.set(port=ledger_proxy.port)
    found = ledger.connect(url.render_as_string(hide_password=False))
    yield found
    found.dispose()


def a_completer(service: Service, app: Celery, *, engine: Engine | None = None) -> Completer:
    """One that speaks to Redis as `app` does, and to the ledger by `engine`."""
    return Completer(
        engine=engine or service.engine,
        celery_end=CeleryEnd(app),
        client=service.client,
        key_prefix="",
        latest=Latest(client=service.client, key_prefix=""),
        mark=RedisMark(service.client, ""),
        lease=Lease(span=timedelta(seconds=60)),
    )


def a_pump(
    engine: Engine, announcer: Announcer, client: Any, *, known_as: Callable[[], Mark | None]
) -> Pump:
    """One over the queue of batch jobs, that takes whatever another has reserved."""
    return Pump(
        client=client,
        engine=engine,
        announce=announcer,
        unadmitted=Unadmitted(client=client, engine=engine, known_as=known_as),
        queues=[QUEUES[Tier.BATCH]],
        rules=RULES,
        key_prefix="",
        messages_max=100,
        stale_after_s=-1,
    )


@pytest.fixture
def collected() -> Iterator[None]:
    """Collect the apps that a test has thrown away, the current one too, before another test is told of them."""
    before = _state.get_current_app()
    yield
    before.set_current()
    gc.collect()
