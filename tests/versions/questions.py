"""What a client asks the service about what Redis has lost; the answer may be played by the caller of this."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

import redis
from celery import Celery

from tests.support.waiting import wait_until
from tests.versions import lying
from unhurried import messages
from unhurried.contract import CONTROL_QUEUE
from unhurried.errors import UnhurriedError
from unhurried.jobs import Job
from unhurried.readers import latest_key, reply_key
from unhurried.run_wire import run_key

UNKNOWN_ID: Final = "6f1d7a64-4f5e-4c55-9f0c-0d3c7d4b3a10"

Question = Callable[[Celery], Any]


def results(_app: Celery) -> Any:
    """What was settled of a workload."""
    return list(messages.results("road-notes"))  # newer than the oldest recording


def tasks_in_flight(app: Celery) -> Any:
    """Which tasks of callers will be published."""
    from unhurried import in_flight  # noqa: PLC0415 - newer than the oldest recording

    return in_flight.callbacks(app)


def questions() -> dict[str, Question]:
    """Those that this version of the client can ask, by name."""
    found: dict[str, Question] = {
        "restore": lambda _: messages.result(UNKNOWN_ID),
        "latest": lambda _: messages.latest("road-notes", subject="user:17", max_staleness="1h"),
        "restore_run": lambda _: messages.run(UNKNOWN_ID).progress,
    }
    if hasattr(messages, "results"):
        found["results"] = results
    with suppress(ImportError):
        from unhurried import in_flight  # noqa: F401, PLC0415 - likewise

        found["in_flight"] = tasks_in_flight
    if hasattr(Job, "cancel"):
        found["change"] = lambda _: messages.job(UNKNOWN_ID).cancel(why="no longer shown")
    return found


def asked(question: Question, app: Celery, client: redis.Redis, *, reply: str) -> Any:
    """Ask, play the service that gives this reply, and return the client's command and what it said.

    The command stays in its queue.
    """
    said: list[Any] = []

    def ask() -> None:
        app.set_current()
        try:
            said.append(question(app))
        except UnhurriedError as error:
            said.append(error)

    thread = threading.Thread(target=ask, name=f"asks-{uuid4()}")
    thread.start()
    queue: Any = client
    wait_until(lambda: queue.llen(CONTROL_QUEUE), within_s=20, what="a command")
    command = lying.message(queue.lindex(CONTROL_QUEUE, 0))
    client.set(reply_key(about(command["body"][1])), reply)
    thread.join(20)
    return command, said[0]


def about(arguments: Mapping[str, Any]) -> str:
    """What the reply is about, as every version of the service has it."""
    if "request_id" in arguments:
        return str(arguments["request_id"])
    if "reply" in arguments:
        return str(arguments["reply"])
    if "run_id" in arguments:
        return run_key(arguments["run_id"])
    return str(arguments["task_id"]) if "task_id" in arguments else latest_key(**arguments)
