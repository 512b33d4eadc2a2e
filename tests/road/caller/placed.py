"""A caller's tasks that write down on which queue they came, whatever calls them."""

from typing import Any

from celery import current_app, shared_task

from tasks import note
from unhurried.contract import ERRBACK_TASK

#: Beside its default queue, the caller's worker listens to this one.
NAMED = "placed-named"


@shared_task(bind=True, ignore_result=False)
def came(self: Any, *_values: Any, name: str) -> str:
    """A callback, a step, a body, or an errback of the old style."""
    _note(self, name)
    return f"Say something about {name}."


@shared_task(bind=True, ignore_result=False)
def routed(self: Any, _value: Any, name: str) -> None:
    """A callback whose publisher has a route for it."""
    _note(self, name)


@shared_task(ignore_result=False)
def failed_with(_request: Any, _exc: BaseException, _traceback: Any, name: str) -> None:
    """An errback of the new style: runs inside the task that brings it home."""
    _note(current_app.tasks[ERRBACK_TASK], name)


def _note(task: Any, name: str) -> None:
    note("placed", name=name, queue=task.request.delivery_info["routing_key"])
