"""Near-real-time: threads that answer jobs one at a time."""

from collections.abc import Callable
from functools import cache

from celery import Celery

from app.near_real_time.telling import Telling
from app.near_real_time.worker import NearRealTime, Stamina
from app.observe.task_events import TaskEvents, node_name
from app.settings import settings
from app.wiring.accounts import daily_limits, limits, providers
from app.wiring.policy import judge
from app.wiring.stores import attached, client, engine
from app.wiring.watching import task_events


@cache
def near_real_time(app: Celery, wake_completion: Callable[[], None]) -> NearRealTime:
    """Answers near-real-time jobs."""
    config = settings()
    return NearRealTime(
        engine=engine(),
        providers=providers(),
        limits=limits(),
        attached=attached(),
        judge=judge(),
        stamina=Stamina(
            threads=config.near_real_time_threads, timeout_s=config.near_real_time_timeout_s
        ),
        watch=Telling(
            engine=engine(),
            client=client(),
            backend=app.backend,
            shows_text=config.progress_text,
        ).of,
        wake_completion=wake_completion,
        daily_limits=daily_limits(),
    )


def events(app: Celery) -> TaskEvents | None:
    """Shows Flower that this process lives. Intake and completer tell of its tasks."""
    return task_events(app, node_name("near_real_time"), waiting_max=0, beats=True)
