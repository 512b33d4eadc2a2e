"""Intake: takes messages from Redis into the ledger."""

from collections.abc import Callable
from typing import Final

from celery import Celery

from app.intake.announcer import Announcer
from app.intake.pump import Pump
from app.intake.unadmitted import Unadmitted
from app.observe.task_events import TaskEvents, Told, node_name
from app.settings import settings
from app.wiring.completion import redis_mark
from app.wiring.policy import rules
from app.wiring.stores import client, engine
from app.wiring.watching import task_events
from unhurried.contract import NOTIFY_QUEUE, QUEUES, Tier

#: Of a flood Flower sees a sample as admitted: the others appear when they end.
_ADMITTED_WAITING_MAX: Final = 2_000


def announcer(
    app: Celery, wake_completion: Callable[[], None], *, told: Told | None = None
) -> Announcer:
    """Tells Redis what was admitted."""
    return Announcer(
        app=app,
        client=client(),
        key_prefix=settings().redis_key_prefix,
        wake=wake_completion,
        told=told,
    )


def events(app: Celery) -> TaskEvents | None:
    """Shows the pump to Flower as a worker, and the tasks that it has admitted."""
    return task_events(app, node_name("intake"), waiting_max=_ADMITTED_WAITING_MAX, beats=True)


def pump(app: Celery, wake_completion: Callable[[], None], *, told: Told | None = None) -> Pump:
    """Takes messages from Redis into the ledger."""
    config = settings()
    return Pump(
        client=client(),
        engine=engine(),
        announce=announcer(app, wake_completion, told=told),
        unadmitted=Unadmitted(client=client(), engine=engine(), known_as=redis_mark().known_as),
        queues=[QUEUES[Tier.BATCH], QUEUES[Tier.NEAR_REAL_TIME], NOTIFY_QUEUE],
        rules=rules(config, Tier.BATCH, Tier.NEAR_REAL_TIME),
        key_prefix=config.redis_key_prefix,
        messages_max=config.intake_messages_max,
        stale_after_s=config.intake_stale_after_s,
    )
