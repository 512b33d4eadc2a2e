"""Where a call came from: what kind of process, and which line. Never what it says."""

import sys
from typing import Any, Final

from celery import current_task

_FRAMES_MAX: Final = 80
_NOT_THE_CALLER: Final = ("unhurried", "celery", "kombu", "contextlib", "functools")
#: Modules that tell the kind of process by running above the caller; the nearest one counts.
_KINDS: Final = (
    ("django.core.handlers", "http"),
    ("flask.app", "http"),
    ("starlette", "http"),
    ("uvicorn.protocols", "http"),
    ("gunicorn.workers", "http"),
    ("wsgiref", "http"),
    ("celery.beat", "beat"),
    ("django.core.management", "command"),
    ("click.core", "command"),
    ("IPython", "shell"),
    ("code", "shell"),
)


def origin() -> dict[str, str]:
    """`kind` (http, task, beat, command, shell or script), the call site as `module:line`, and inside
    a task its name, id and root.
    """
    site, kind = _walk()
    found = {"kind": kind, "site": site}
    task: Any = current_task
    if task and getattr(task, "request", None) is not None and task.request.id:
        found |= {"kind": "task", "task": str(task.name), "task_id": str(task.request.id)}
        found["root_id"] = str(task.request.root_id or task.request.id)
    return found


def _walk() -> tuple[str, str]:
    """The first frame that is not ours or Celery's, and what kind of process stands behind it."""
    frame = sys._getframe(2)  # noqa: SLF001 - the documented way to a caller's frame in CPython
    site = "unknown"
    for _ in range(_FRAMES_MAX):
        module = str(frame.f_globals.get("__name__", ""))
        if site == "unknown" and module.partition(".")[0] not in _NOT_THE_CALLER:
            site = f"{module}:{frame.f_lineno}"
        for prefix, name in _KINDS:
            if module == prefix or module.startswith(prefix + "."):
                return site, name
        if frame.f_back is None:
            break
        frame = frame.f_back
    return site, "shell" if hasattr(sys, "ps1") else "script"
