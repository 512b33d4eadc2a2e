"""Errbacks that take `(request, exc, traceback)`: sent home and called in the caller's own worker.

Celery calls such an errback in the very process where a task fails. Ours fail in the service, which
has none of the caller's code, and from there Celery would publish the errback as a task with nothing
but the failed task's id. So the client marks these errbacks when it publishes, the service sends the
marked ones home inside the task below, and the caller's worker calls them there.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from celery import Celery, current_app, shared_task
from celery.app.task import Context
from celery.utils.functional import arity_greater

from unhurried.contract import ERRBACK_HEADER, ERRBACK_TASK

#: A canvas nested deeper than this is a mistake; Celery itself recurses on it.
_DEPTH_MAX: Final = 50


def mark(options: dict[str, Any], app: Celery) -> dict[str, Any]:
    """A publication's options, the errbacks of the new style marked in them.

    Looks at the task's own errbacks, at those of its chord's body and at those of later steps. May be
    repeated. An errback that this process does not have is left as it is: nobody knows its arguments.
    """
    marked = _options(options, app, 0)
    if marked.get("chord"):
        marked["chord"] = _signature(marked["chord"], app, 0)
    if marked.get("chain"):
        marked["chain"] = [_signature(step, app, 0) for step in marked["chain"]]
    return marked


@shared_task(name=ERRBACK_TASK, ignore_result=True)
def call(_task_id: str, *, errback: dict[str, Any], failure: dict[str, Any]) -> None:
    """Call an errback with what it takes. Runs in a worker of the caller's that imports `unhurried`."""
    app: Any = current_app
    exc = app.backend.exception_to_python(failure["exc"])
    request = Context(failure["request"])
    app.signature(errback)(request, exc, failure["traceback"])


def _options(options: Mapping[str, Any], app: Celery, depth: int) -> dict[str, Any]:
    following = options.get("link_error")
    if not following:
        return dict(options)
    errbacks = list(following) if isinstance(following, list | tuple) else [following]
    return {**options, "link_error": [_errback(errback, app, depth) for errback in errbacks]}


def _signature(signature: Any, app: Celery, depth: int) -> Any:
    if depth > _DEPTH_MAX or not isinstance(signature, Mapping) or "task" not in signature:
        return signature
    kwargs = dict(signature.get("kwargs") or {})
    if signature.get("subtask_type"):
        for part in ("tasks", "header", "body"):
            inner = kwargs.get(part)
            if isinstance(inner, list | tuple):
                kwargs[part] = [_signature(task, app, depth + 1) for task in inner]
            else:
                kwargs[part] = _signature(inner, app, depth + 1)
    options = _options(signature.get("options") or {}, app, depth)
    return app.signature({**signature, "kwargs": kwargs, "options": options})


def _errback(errback: Any, app: Celery, depth: int) -> Any:
    if not isinstance(errback, Mapping) or not _takes_three(errback, app):
        return _signature(errback, app, depth + 1)
    options = dict(errback.get("options") or {})
    options["headers"] = {**(options.get("headers") or {}), ERRBACK_HEADER: True}
    return app.signature({**errback, "options": options})


def _takes_three(errback: Mapping[str, Any], app: Celery) -> bool:
    """Celery's own test: more than one argument is left open, and the task is not bound."""
    task = app.tasks.get(errback["task"])
    header: Any = getattr(task, "__header__", None)
    if header is None or isinstance(header, partial):
        return False
    if not errback.get("immutable"):
        header = partial(header, *(errback.get("args") or ()), **(errback.get("kwargs") or {}))
    try:
        return bool(arity_greater(header, 1))
    except (TypeError, ValueError):  # arguments that do not fit: Celery says so where it runs
        return False
