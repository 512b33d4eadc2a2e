"""The collector: polls batches and brings their results in."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache

from app.collector.bring_in import BringIn, Thoroughness
from app.collector.collect import Collector, Pace
from app.collector.strays import Strays
from app.settings import settings
from app.wiring import watching
from app.wiring.accounts import providers
from app.wiring.policy import emptiness, judge
from app.wiring.stores import deployment, engine


@cache
def collector(wake_completion: Callable[[], None]) -> Collector:
    """Polls batches and brings their results in."""
    config, spans = settings(), watching.spans()
    bring_in = BringIn(
        engine=engine(),
        spool_directory=config.spool_directory,
        deployment=deployment(),
        judge=judge(),
        thoroughness=Thoroughness(
            lines_max=config.settle_lines_max,
            downloads_max=config.downloads_max,
            again_after=timedelta(seconds=config.poll_min_s),
            emptiness=emptiness(),
        ),
        on_settled=wake_completion,
        watch=spans.batch if spans is not None else None,
    )
    return Collector(
        engine=engine(),
        providers=providers(),
        bring_in=bring_in,
        pace=Pace(
            shortest=timedelta(seconds=config.poll_min_s),
            longest=timedelta(seconds=config.poll_max_s),
        ),
        wake_completion=wake_completion,
    )


@cache
def stray_batches(wake_completion: Callable[[], None]) -> Strays:
    """Ends and books batches of ours that nobody waits for."""
    config = settings()
    return Strays(
        engine=engine(),
        providers=providers(),
        spool_directory=config.spool_directory,
        judge=judge(),
        emptiness=emptiness(),
        shortest=timedelta(seconds=config.poll_min_s),
        longest=timedelta(seconds=config.poll_max_s),
        on_settled=wake_completion,
    )
