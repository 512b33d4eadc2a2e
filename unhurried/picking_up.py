"""Say when a plain task of the caller's has taken results: its success is the pick-up.

Tasks under `@consumes` say so themselves, and which consumer they are. Whoever imports `unhurried` in a worker
has this; a task that fails has picked nothing up.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from celery import signals

from unhurried import consumers, pick_ups
from unhurried.binding import bound_app
from unhurried.contract import RESULT_SCHEMA
from unhurried.run_wire import is_run_reference

#: Tasks that no caller writes.
_OURS: Final = "unhurried."


def taken(value: Any) -> tuple[list[UUID], UUID | None]:
    """The results that a task was given as its first argument, and the run whose end it was given."""
    if is_run_reference(value):
        return [], _uuid(value["run"])
    parts = value if isinstance(value, list | tuple) else [value]
    return list(_ids(parts)), None


def _ids(parts: list[Any] | tuple[Any, ...]) -> Iterator[UUID]:
    for part in parts:
        if isinstance(part, Mapping) and part.get("schema") == RESULT_SCHEMA:
            found = _uuid(part.get("result_id"))
            if found is not None:
                yield found


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        return None


@signals.task_success.connect(weak=False)
def _succeeded(sender: Any = None, **_: Any) -> None:
    request = sender.request
    if sender.name.startswith(_OURS) or request.is_eager or consumers.is_consuming(sender.run):
        return
    result_ids, run_id = taken(request.args[0]) if request.args else ([], None)
    if result_ids or run_id is not None:
        pick_ups.note(bound_app(), result_ids, run_id=run_id)


@signals.worker_ready.connect(weak=False)
def _ready(**_: Any) -> None:
    """Consumers are known before they first read."""
    consumers.announce()
