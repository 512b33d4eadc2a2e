"""The callers' own tasks in the matrix: each run appends one line to the caller's log."""

import json
import os
from pathlib import Path
from typing import Any

from celery import shared_task
from celery.result import AsyncResult

from .asking import BAD, Cell
from .telling import told

#: How often a part looks whether ours has ended; it never waits inside a worker.
_LOOK_EVERY_S = 0.5
_LOOKS_MAX = 200


def note(event: str, cell: str, what: str) -> None:
    """Append one line."""
    with Path(os.environ["MATRIX_LOG"]).open("a", encoding="utf-8") as log:
        log.write(json.dumps({"event": event, "cell": cell, "what": what}) + "\n")


@shared_task(ignore_result=False)
def body(results: Any, cell: str) -> str:
    """A chord's body."""
    note("body", cell, told(results))
    return "body"


@shared_task(ignore_result=False)
def linked(result: Any, cell: str, name: str = "linked") -> None:
    """A callback."""
    note(name, cell, told(result))


@shared_task(bind=True, ignore_result=False, max_retries=_LOOKS_MAX)
def failed(self: Any, task_id: str, cell: str, *, stored: bool = True) -> None:
    """An errback of the old style: with the failed task's id, under which its error is stored.

    Celery calls the errbacks of a chord's body before it stores the error.
    """
    result: AsyncResult[Any] = AsyncResult(task_id)
    if stored and not result.ready():
        raise self.retry(countdown=_LOOK_EVERY_S)
    note("errback", cell, type(result.result).__name__)


@shared_task(ignore_result=False)
def failed_with(request: Any, exc: BaseException, traceback: Any, cell: str) -> None:  # noqa: ARG001 - the signature is the fact
    """An errback of the new style: with the failed task's request and its exception."""
    known = bool(request.id) and isinstance(exc, BaseException)
    note("errback", cell, f"{'task' if known else 'nothing'}, {type(exc).__name__}")


@shared_task(ignore_result=False)
def question(topic: str) -> str:
    """A first step of a chain: what it returns becomes the user's turn."""
    return topic if topic == BAD else f"Say something about {topic}. It matters to many people."


@shared_task(ignore_result=False)
def length(result: Any, cell: str) -> int:
    """A last step of a chain."""
    note("last", cell, told(result))
    return len(result["output"])


@shared_task(ignore_result=False)
def plain(value: int) -> int:
    """An ordinary task that shares a canvas with ours."""
    return value


@shared_task(bind=True, ignore_result=False, max_retries=_LOOKS_MAX)
def after(self: Any, task_id: str) -> int:
    """An ordinary task that ends after another has ended."""
    if not AsyncResult(task_id).ready():
        raise self.retry(countdown=_LOOK_EVERY_S)
    return 1


@shared_task(bind=True, ignore_result=False)
def replaced(self: Any, caller: str, provider: str, fails: bool, shape: str) -> Any:  # noqa: FBT001 - a wire
    """A caller's task that puts one of ours in its place."""
    raise self.replace(Cell(caller, provider, fails, shape).part())
