"""Upkeep: sweeps."""

from datetime import timedelta
from functools import cache, partial
from typing import Final

from celery import Celery

from app.settings import settings
from app.upkeep.copies import Copies
from app.upkeep.counting import Counting
from app.upkeep.pick_ups import PickUps
from app.upkeep.prune import Pruning, Retention
from app.upkeep.sweep import Upkeep
from app.wiring.completion import chords, redis_loss
from app.wiring.direct import recorder
from app.wiring.intake import announcer
from app.wiring.stores import client, engine

#: A deploy takes less: until then processes of the release before may run, which know no pruned job.
_FIRST_PRUNED_AFTER: Final = timedelta(hours=1)


@cache
def pruning(app: Celery) -> Pruning:
    """Prunes what it is told to."""
    copies = Copies(client=client(), backend=app.backend, key_prefix=settings().redis_key_prefix)
    return Pruning(engine=engine(), forget=copies.forget)


@cache
def upkeep(app: Celery) -> Upkeep:
    """Sweeps."""
    return Upkeep(
        engine=engine(),
        chords=announcer(app, lambda: None),
        sweep_chords=partial(chords(app).sweep, remembers=redis_loss(app).remembers),
        sweep_direct_records=recorder().sweep,
        take_in_pick_ups=PickUps(
            engine=engine(), client=client(), key_prefix=settings().redis_key_prefix
        ).take_in,
        count=Counting(
            engine=engine(),
            result_lifetime=timedelta(seconds=settings().result_lifetime_s),
        ).run,
        prune=Retention(
            engine=engine(),
            pruning=pruning(app),
            content_days=settings().keep_content_days,
            records_days=settings().keep_records_days,
            not_within=_FIRST_PRUNED_AFTER,
        ).run,
    )
