"""What Celery's result backend holds of a task, read through a client that gives up within seconds."""

import time
from typing import Any, Final

from celery import Celery, states

from unhurried.binding import redis_answers, redis_of

#: One look at Redis at least this often: what was told on a dead socket is never heard.
_LOOK_S: Final = 1.0


def look(app: Celery, task_id: str, *, remedy: str) -> tuple[str, Any]:
    """Celery's state and value of a task; to Celery every id that it has never seen is pending.

    Raises ServiceUnavailable, which says the `remedy`.
    """
    backend: Any = app.backend
    with redis_answers(remedy):
        found = redis_of(app).get(backend.get_key_for_task(task_id))
    if found is None:
        return states.PENDING, None
    meta = backend.decode_result(found)
    return meta["status"], meta["result"]


def ends(app: Celery, task_id: str, *, within_s: float, remedy: str) -> bool:
    """Wait for a task's end; whether it came. Raises ServiceUnavailable within seconds of an outage."""
    until = time.monotonic() + within_s
    if _has_ended(app, task_id, remedy):
        return True
    backend: Any = app.backend
    with redis_answers(remedy), redis_of(app).pubsub(ignore_subscribe_messages=True) as told:
        # Where Celery's backend tells what it stores.
        told.subscribe(backend.get_key_for_task(task_id))
        while not _has_ended(app, task_id, remedy):
            left_s = until - time.monotonic()
            if left_s <= 0:
                return False
            told.get_message(timeout=min(left_s, _LOOK_S))
    return True


def _has_ended(app: Celery, task_id: str, remedy: str) -> bool:
    return look(app, task_id, remedy=remedy)[0] in states.READY_STATES
