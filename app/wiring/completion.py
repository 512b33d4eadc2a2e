"""Completion: tells Celery how tasks ended, and brings back what Redis has lost."""

from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import Final

import redis
from celery import Celery

from app.completion.callbacks import Callbacks
from app.completion.celery_end import CeleryEnd
from app.completion.chords import Chords
from app.completion.complete import Completer, Lease, store_long_output
from app.completion.latest import Latest
from app.completion.redis_loss import RedisLoss
from app.completion.redis_mark import RedisMark
from app.completion.replay import Replay
from app.completion.restore import Restorer
from app.completion.runs import RunCounter
from app.completion.telling import FlowerTelling, SpanTelling
from app.completion.telling_again import TellingAgain
from app.policy.ends import Value
from app.settings import settings
from app.wiring import watching
from app.wiring.stores import client, engine

#: Ends that Flower is told of late rather than never: as many as a flood leaves behind.
_ENDS_WAITING_MAX: Final = 20_000


@cache
def completer(app: Celery, hostname: str) -> Completer:
    """Completes tickets, as the worker of that name."""
    config = settings()
    events = watching.task_events(app, hostname, waiting_max=_ENDS_WAITING_MAX)
    spans = watching.spans()
    return Completer(
        engine=engine(),
        celery_end=CeleryEnd(app),
        client=client(),
        key_prefix=config.redis_key_prefix,
        latest=latest(),
        mark=redis_mark(),
        lease=Lease(span=timedelta(seconds=config.completion_lease_s)),
        watching=[
            *([FlowerTelling(events.send)] if events is not None else []),
            *([SpanTelling(spans.calls)] if spans is not None else []),
        ],
    )


@cache
def redis_mark() -> RedisMark:
    """By what the service's Redis is known again."""
    return RedisMark(client(), settings().redis_key_prefix)


@cache
def latest() -> Latest:
    """Pointers to the newest answers."""
    return Latest(client=client(), key_prefix=settings().redis_key_prefix)


def keep_long_output(end: Value) -> None:
    """Put an output that is too long for a direct call's result where its readers look for it."""
    with suppress(redis.RedisError):
        # The answer is paid for and recorded: its result says so, and who reads that has the rest brought back.
        store_long_output(client(), settings().redis_key_prefix, end)


@cache
def restorer(app: Celery) -> Restorer:
    """Brings back what Redis has lost."""
    return Restorer(
        engine=engine(),
        app=app,
        client=client(),
        key_prefix=settings().redis_key_prefix,
        latest=latest(),
        counts=run_counter(),
    )


@cache
def telling_again(app: Celery) -> TellingAgain:
    """Tells once more what a person asked for."""
    return TellingAgain(
        engine=engine(), celery_end=CeleryEnd(app), restorer=restorer(app), mark=redis_mark()
    )


@cache
def replay() -> Replay:
    """Reads settled results once more."""
    return Replay(engine=engine(), client=client(), key_prefix=settings().redis_key_prefix)


@cache
def callbacks() -> Callbacks:
    """Says which tasks of callers will be called."""
    return Callbacks(engine=engine(), client=client(), key_prefix=settings().redis_key_prefix)


@cache
def chords(app: Celery) -> Chords:
    """Keeps chords of ours going."""
    return Chords(
        engine=engine(),
        celery_end=CeleryEnd(app),
        client=client(),
        backend=app.backend,
        mark=redis_mark(),
        claim_s=settings().completion_lease_s,
    )


@cache
def redis_loss(app: Celery) -> RedisLoss:
    """Notices that Redis has forgotten, and tells it again."""
    return RedisLoss(
        engine=engine(),
        chords=chords(app),
        client=client(),
        backend=app.backend,
        key_prefix=settings().redis_key_prefix,
    )


@cache
def run_counter() -> RunCounter:
    """Counts runs and ends them."""
    return RunCounter(engine=engine(), client=client(), key_prefix=settings().redis_key_prefix)
