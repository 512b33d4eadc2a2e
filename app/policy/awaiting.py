"""Who is to read a call's result once it is there: published is not picked up. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from unhurried.contract import EMAIL_TASK, WEBHOOK_TASK, MailNotice, WebhookNotice

#: A canvas nested deeper than this is a mistake; Celery itself recurses on it.
_DEPTH_MAX: Final = 50
_NAME_MAX: Final = 200
_OURS: Final = "unhurried."
#: What stands before a receiver's name, and before a workload's whose consumers are awaited.
WEBHOOK: Final = "webhook:"
WORKLOAD: Final = "@"


@dataclass(frozen=True, kw_only=True, slots=True)
class Follower:
    """The task that is published with a result."""

    task: str
    #: Its id, where the caller has fixed it.
    task_id: str | None
    #: Whom a webhook of ours goes to.
    receiver: str | None = None


def follower(embed: Mapping[str, Any]) -> Follower | None:
    """What a message's canvas publishes first with its result: a chord's body, a next step, a callback."""
    chain, callbacks = embed.get("chain"), embed.get("callbacks")
    for signature in (embed.get("chord"), _at(chain, -1), _at(callbacks, 0)):
        if isinstance(signature, Mapping):
            return _first(signature, 0)
    return None


def _at(several: Any, place: int) -> Any:
    return several[place] if isinstance(several, list | tuple) and several else None


def _first(signature: Mapping[str, Any], depth: int) -> Follower | None:
    kwargs = signature.get("kwargs")
    kwargs = kwargs if isinstance(kwargs, Mapping) else {}
    inner = {"chain": "tasks", "group": "tasks", "chord": "header"}.get(
        str(signature.get("subtask_type"))
    )
    if inner is not None and depth < _DEPTH_MAX:
        several = kwargs.get(inner)
        one = several if isinstance(several, Mapping) else _at(several, 0)
        return _first(one, depth + 1) if isinstance(one, Mapping) else None
    task, options = signature.get("task"), signature.get("options")
    if not isinstance(task, str) or not _is_name(task):
        return None
    task_id = options.get("task_id") if isinstance(options, Mapping) else None
    receiver = kwargs.get("receiver") if task == WEBHOOK_TASK else None
    return Follower(
        task=task,
        task_id=task_id if isinstance(task_id, str) and _is_name(task_id) else None,
        receiver=receiver if isinstance(receiver, str) and _is_name(receiver) else None,
    )


def _is_name(value: str) -> bool:
    return 0 < len(value) <= _NAME_MAX and value.isprintable() and value.isascii()


def awaited_by(
    following: Follower | None,
    notices: Sequence[MailNotice | WebhookNotice],
    *,
    workload: str | None,
    ignores_result: bool,
    tells: bool,
) -> str | None:
    """Who is to read it: a task, `webhook:<receiver>` or `@<workload>`; None where nobody can be missed.

    `tells`: the caller's workers say when a task of theirs has taken a result. A person who was mailed comes
    when they come, and a result that nobody stores is nobody's.
    """
    if following is not None:
        if following.task == WEBHOOK_TASK:
            return f"{WEBHOOK}{following.receiver}" if following.receiver else None
        if following.task == EMAIL_TASK or following.task.startswith(_OURS):
            return None
        return following.task if tells else None
    for notice in notices:
        if isinstance(notice, WebhookNotice):
            return f"{WEBHOOK}{notice.receiver}"
    if notices or ignores_result or workload is None:
        return None
    return f"{WORKLOAD}{workload}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A declared consumer."""

    workload: str
    name: str
    #: The function that consumes; None for one that reads.
    task: str | None


def reader_name(awaited: str, known: Sequence[Known]) -> str:
    """Who is missed, for people: the consumer, or where none is declared the task, or the workload."""
    if awaited.startswith(WEBHOOK):
        return awaited
    if awaited.startswith(WORKLOAD):
        workload = awaited[len(WORKLOAD) :]
        declared = sorted({one.name for one in known if one.workload == workload})
        return ", ".join(declared) or workload
    return next((one.name for one in known if one.task == awaited), awaited)
