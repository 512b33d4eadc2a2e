"""Give every task of a canvas its id before it is published, so that publishing again is the same.

Celery freezes the ids of chain steps and chord bodies when a caller applies them, but a `link`
callback gets a new id each time. Ids are derived from what they follow; ids that are there stay.

So are those that Celery makes up while it publishes. A group gets its id when it is applied, and a chord inside
of another is frozen anew whatever its signature says: published in two goes, half of its parts would be counted
in one chord and half in another, and neither is ever full.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any, Final, TypeGuard
from uuid import UUID, uuid5

from celery import canvas
from kombu.utils.uuid import uuid

_NAMESPACE: Final = UUID("5e2d1f04-8a55-4c0b-9a0e-756e68757272")
#: A canvas nested deeper than this is a mistake; Celery itself recurses on it.
_DEPTH_MAX: Final = 50
#: What an index of the ledger can hold beside a publisher's name.
_ID_BYTES_MAX: Final = 500

#: What this thread's canvas takes for new ids; None where any will do.
_IDS: ContextVar[Iterator[str] | None] = ContextVar("ids", default=None)


def register() -> None:
    """Make Celery's canvas take its new ids from here. May be repeated."""
    canvas.uuid = _new_id  # type: ignore[attr-defined]  # absent from the stubs


@contextmanager
def same_ids(seed: str) -> Iterator[None]:
    """Let this thread's canvas get the same new ids each time, in the order in which it asks for them."""
    token = _IDS.set(str(uuid5(_NAMESPACE, f"{seed}/new{number}")) for number in count())
    try:
        yield
    finally:
        _IDS.reset(token)


def _new_id() -> str:
    ids = _IDS.get()
    return uuid() if ids is None else next(ids)


def pin(signature: Mapping[str, Any], *, seed: str, home_queue: str | None) -> dict[str, Any]:
    """A copy of the signature whose every leaf has a task id derived from `seed`.

    Leaves without a queue of their own get `home_queue`, the caller's own default, if one is named.
    """
    return _pin(dict(signature), seed, home_queue, 0)


def _pin(
    signature: dict[str, Any], seed: str, home_queue: str | None, depth: int
) -> dict[str, Any]:
    if depth > _DEPTH_MAX:
        return signature
    kwargs = dict(signature.get("kwargs") or {})
    for part in ("tasks", "header"):
        tasks = kwargs.get(part)
        if isinstance(tasks, list | tuple):
            kwargs[part] = [
                _pin_any(task, f"{seed}/{part}{index}", home_queue, depth)
                for index, task in enumerate(tasks)
            ]
        elif isinstance(tasks, Mapping):
            kwargs[part] = _pin(dict(tasks), f"{seed}/{part}", home_queue, depth + 1)
    if isinstance(kwargs.get("body"), Mapping) and "task" in kwargs["body"]:
        kwargs["body"] = _pin(dict(kwargs["body"]), f"{seed}/body", home_queue, depth + 1)
    options = _pin_options(signature, seed, home_queue, depth)
    return {**signature, "kwargs": kwargs, "options": options}


def _pin_options(
    signature: Mapping[str, Any], seed: str, home_queue: str | None, depth: int
) -> dict[str, Any]:
    options = dict(signature.get("options") or {})
    if signature.get("subtask_type") is None:
        if not options.get("task_id"):
            options["task_id"] = str(uuid5(_NAMESPACE, seed))
        placed = any(options.get(name) for name in ("queue", "exchange", "routing_key"))
        if home_queue is not None and not placed:
            options["queue"] = home_queue
    for name in ("link", "link_error"):
        follow = options.get(name)
        if isinstance(follow, list | tuple):
            options[name] = [
                _pin_any(task, f"{seed}/{name}{index}", home_queue, depth)
                for index, task in enumerate(follow)
            ]
    return options


def _pin_any(task: Any, seed: str, home_queue: str | None, depth: int) -> Any:
    if isinstance(task, Mapping) and "task" in task:
        return _pin(dict(task), seed, home_queue, depth + 1)
    return task


def is_id(value: Any) -> TypeGuard[str]:
    """Whether the ledger can hold this as the id of a task."""
    try:
        size = len(value.encode()) if isinstance(value, str) else 0
    except UnicodeEncodeError:
        return False
    return 0 < size <= _ID_BYTES_MAX and "\0" not in value


def first_ids(signature: Mapping[str, Any]) -> list[str]:
    """The ids of the tasks that are published when a pinned signature is."""
    return _first_ids(signature, 0)


def _first_ids(signature: Mapping[str, Any], depth: int) -> list[str]:
    kwargs = signature.get("kwargs") or {}
    match signature.get("subtask_type"):
        case "chain":
            first = list(kwargs.get("tasks") or ())[:1]
        case "group":
            first = list(kwargs.get("tasks") or ())
        case "chord":
            header = kwargs.get("header")
            first = [header] if isinstance(header, Mapping) else list(header or ())
        case _:
            found = (signature.get("options") or {}).get("task_id")
            return [found] if is_id(found) else []
    if depth > _DEPTH_MAX:
        return []
    return [
        task_id
        for one in first
        if isinstance(one, Mapping)
        for task_id in _first_ids(one, depth + 1)
    ]
