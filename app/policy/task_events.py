"""What Flower is told of a ticket: the fields of Celery's task events. Pure.

An event of a name that Celery does not know becomes a state: `task-admitted` shows as `ADMITTED`, which is
what callers see. `sent` and `received` travel as fields: a `task-received` of its own would make Flower
count a prefetched task for as long as the batch runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from unhurried.contract import ADMITTED_STATE

#: Shown wherever Celery would show arguments: a caller may publish a prompt in any of them.
NO_ARGUMENTS: Final = "-"
ADMITTED_EVENT: Final = f"task-{ADMITTED_STATE.lower()}"
SUCCEEDED_EVENT: Final = "task-succeeded"
FAILED_EVENT: Final = "task-failed"
REVOKED_EVENT: Final = "task-revoked"
#: A caller may write anything where the model is named.
_MODEL_CHARACTERS_MAX: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskEvent:
    """One event about one task. Losing or repeating it changes nothing but what Flower shows."""

    type: str
    task_id: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """A task as its message names it. `summary` holds neither prompt nor answer, nor whose it is."""

    task_id: str
    task_name: str
    headers: Mapping[str, Any]
    #: None where the message did not say.
    published_at: datetime | None
    admitted_at: datetime
    summary: str = NO_ARGUMENTS


def summary(*, endpoint: str, tier: str, model: str, workload: str | None) -> str:
    """What is shown instead of arguments."""
    named = f" {workload}" if workload else ""
    return f"<{endpoint} {tier} {model[:_MODEL_CHARACTERS_MAX]}{named}>"


def admitted(about: About) -> TaskEvent:
    """The task is in the ledger, and waits for its answer."""
    return TaskEvent(type=ADMITTED_EVENT, task_id=about.task_id, fields=_common(about))


def succeeded(about: About, *, ended_at: datetime, result: str) -> TaskEvent:
    """It ended with a value; `result` says which kind, never what it is."""
    fields = {"result": result, "runtime": runtime_s(about, ended_at), "exception": None}
    return TaskEvent(
        type=SUCCEEDED_EVENT, task_id=about.task_id, fields={**_common(about), **fields}
    )


def failed(about: About, *, ended_at: datetime, error: str) -> TaskEvent:
    """It failed; `error` is kind and code without a message: a provider's may quote the prompt."""
    fields = {
        "exception": error,
        "runtime": runtime_s(about, ended_at),
        "traceback": None,
    }
    return TaskEvent(type=FAILED_EVENT, task_id=about.task_id, fields={**_common(about), **fields})


def revoked(about: About) -> TaskEvent:
    """It was revoked, by whoever asked for it; nothing of ours is terminated for it."""
    fields = {"terminated": False, "signum": None, "expired": False}
    return TaskEvent(type=REVOKED_EVENT, task_id=about.task_id, fields={**_common(about), **fields})


def runtime_s(about: About, ended_at: datetime) -> float:
    """Seconds from publishing to the end; never negative, however callers' clocks go."""
    return max((ended_at - (about.published_at or about.admitted_at)).total_seconds(), 0.0)


def _common(about: About) -> dict[str, Any]:
    headers = about.headers
    published_at = about.published_at or about.admitted_at
    return {
        "name": about.task_name,
        "args": about.summary,
        "kwargs": "{}",
        "root_id": _text(headers.get("root_id")),
        "parent_id": _text(headers.get("parent_id")),
        "eta": _text(headers.get("eta")),
        "expires": _text(headers.get("expires")),
        # Attempts at a provider are no retries of the task.
        "retries": 0,
        "sent": published_at.timestamp(),
        "received": about.admitted_at.timestamp(),
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
