"""Intake: takes messages from Redis into the ledger."""

from collections.abc import Callable

from celery import Celery

from app.intake.announcer import Announcer
from app.intake.pump import Pump
from app.intake.unadmitted import Unadmitted
from app.settings import settings
from app.wiring.completion import redis_loss
from app.wiring.policy import rules
from app.wiring.stores import client, engine
from unhurried.contract import NOTIFY_QUEUE, QUEUES, Tier


def announcer(app: Celery, wake_completion: Callable[[], None]) -> Announcer:
    """Tells Redis what was admitted."""
    return Announcer(
        app=app, client=client(), key_prefix=settings().redis_key_prefix, wake=wake_completion
    )


def pump(app: Celery, wake_completion: Callable[[], None]) -> Pump:
    """Takes messages from Redis into the ledger."""
    config = settings()
    return Pump(
        client=client(),
        engine=engine(),
        announce=announcer(app, wake_completion),
        unadmitted=Unadmitted(client=client(), engine=engine(), known_as=redis_loss(app).known_as),
        queues=[QUEUES[Tier.BATCH], QUEUES[Tier.NEAR_REAL_TIME], NOTIFY_QUEUE],
        rules=rules(config, Tier.BATCH, Tier.NEAR_REAL_TIME),
        key_prefix=config.redis_key_prefix,
        messages_max=config.intake_messages_max,
        stale_after_s=config.intake_stale_after_s,
    )
