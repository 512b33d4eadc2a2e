"""Those who watch: Flower, told by events."""

from celery import Celery

from app.observe.task_events import TaskEvents
from app.settings import settings


def task_events(
    app: Celery, hostname: str, *, waiting_max: int, beats: bool = False
) -> TaskEvents | None:
    """Sends events as that worker, from now on; None where the settings want none."""
    per_s = settings().task_events_per_s
    if not per_s:
        return None
    return TaskEvents(
        app=app, hostname=hostname, per_s=per_s, waiting_max=waiting_max, beats=beats
    ).start()
