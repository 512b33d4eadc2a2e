"""Ask the service to bring back what Redis has lost: the client speaks only Redis."""

import time
from typing import Any, Final

from celery import Celery
from kombu import Exchange, Queue

from unhurried.binding import (
    RETRY_POLICY,
    key_prefix,
    producer_of,
    redis_answers,
    redis_of,
    require_redis,
)
from unhurried.contract import CONTROL_QUEUE
from unhurried.errors import ServiceUnavailable
from unhurried.readers import LATEST_TASK, RESTORE_TASK, Reply, latest_key, reply_key
from unhurried.run_wire import RESTORE_RUN_TASK, run_key

#: A reader waits this long for a reply; a service that is slower than that is down or very busy.
_WITHIN_S: Final = 3.0
_LOOK_S: Final = 0.05
_LATER: Final = "read it later"
#: A command that nobody took within this time is of no use to who sent it.
_EXPIRES_S: Final = 60


def restore(app: Celery, task_id: str) -> Reply | None:
    """Have the result of a task put back where Celery looks for it. None where nobody replied."""
    return _ask(app, task_id, RESTORE_TASK, {"task_id": task_id})


def newest(app: Celery, *, tenant: str, workload: str, subject: str | None) -> Reply | None:
    """Have the pointer to the newest answer put back. None where nobody replied."""
    about = latest_key(tenant=tenant, workload=workload, subject=subject)
    arguments = {"tenant": tenant, "workload": workload, "subject": subject}
    return _ask(app, about, LATEST_TASK, arguments)


def restore_run(app: Celery, run_id: str) -> Reply | None:
    """Have a run put back with the results of all its parts. None where that is not done yet."""
    return _ask(app, run_key(run_id), RESTORE_RUN_TASK, {"run_id": run_id})


def answer(
    app: Celery, name: str, arguments: dict[str, Any], *, about: str, within_s: float
) -> bytes:
    """What the service replies to a command, about something of the asker's own naming.

    Raises ServiceUnavailable where Redis does not answer, or the service does not within `within_s`.
    """
    command(app, name, arguments)
    found = _await_reply(app, key_prefix(app) + reply_key(about), within_s)
    if found is None:
        raise ServiceUnavailable(
            f"the service did not answer within {within_s:g} s: is it running, and not older than this "
            "client? Ask again"
        )
    return found


def command(app: Celery, name: str, arguments: dict[str, Any]) -> None:
    """Send one command to the service. Raises ServiceUnavailable where Redis does not take it."""
    # An object, since a caller with task_create_missing_queues=False knows no name of ours.
    queue: Any = Queue(
        CONTROL_QUEUE, Exchange(CONTROL_QUEUE, type="direct"), routing_key=CONTROL_QUEUE
    )
    with redis_answers("repeat it"):
        require_redis(app)
        _send(app, name, arguments, queue)


def _send(app: Celery, name: str, arguments: dict[str, Any], queue: Any) -> None:
    with producer_of(app) as producer:
        app.send_task(
            name,
            kwargs=arguments,
            queue=queue,
            exchange="",
            routing_key=CONTROL_QUEUE,
            serializer="json",
            compression=None,
            ignore_result=True,
            expires=_EXPIRES_S,
            producer=producer,
            retry_policy=RETRY_POLICY,
        )


def _ask(app: Celery, about: str, name: str, arguments: dict[str, Any]) -> Reply | None:
    key = key_prefix(app) + reply_key(about)
    found = _look(app, key)
    if found is None:
        command(app, name, arguments)
        found = _await_reply(app, key, _WITHIN_S)
    return Reply(found.decode()) if found is not None else None


def _await_reply(app: Celery, key: str, within_s: float) -> bytes | None:
    found, until = None, time.monotonic() + within_s
    while found is None and time.monotonic() < until:
        time.sleep(_LOOK_S)
        found = _look(app, key)
    return found


def _look(app: Celery, key: str) -> bytes | None:
    with redis_answers(_LATER):
        found: bytes | None = redis_of(app).get(key)
    return found
