"""The direct tier: one Celery task for each endpoint, run at once by a thread of the sync worker."""

from typing import Any

from celery import Task

from app import wiring
from app.celery import app
from app.direct.answer import Call
from app.policy.ends import Failure
from unhurried.contract import TASK_NAMES, Endpoint
from unhurried.errors import failure


def _answer(task: Task[Any, Any], endpoint: Endpoint, *args: Any, **kwargs: Any) -> dict[str, Any]:
    task_id = task.request.id
    assert task_id is not None, "a worker always knows the id of what it runs"
    call = Call(endpoint=endpoint, task_id=task_id, args=args, kwargs=kwargs)
    end = wiring.direct_answer().answer(call)
    if isinstance(end, Failure):
        raise failure(end.error)
    return end.wire


@app.task(name=TASK_NAMES[Endpoint.MESSAGES], bind=True, typing=False, shared=False)
def messages(self: Task[Any, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Answer one Anthropic Messages call; the wire result, or an error of `unhurried.errors`."""
    return _answer(self, Endpoint.MESSAGES, *args, **kwargs)


@app.task(name=TASK_NAMES[Endpoint.RESPONSES], bind=True, typing=False, shared=False)
def responses(self: Task[Any, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Answer one OpenAI Responses call; the wire result, or an error of `unhurried.errors`."""
    return _answer(self, Endpoint.RESPONSES, *args, **kwargs)
