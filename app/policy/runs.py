"""When a run has ended, and as what. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from unhurried.contract import RESULT_SCHEMA, JobOptions, MailNotice, WebhookNotice
from unhurried.run_wire import RunCounts, RunReference, RunState

_TOTAL_MAX: Final = 100_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class RunDraft:
    """A run as its caller seals it."""

    id: UUID
    tenant: str
    workload: str | None
    tier: str
    total: int
    notify: tuple[MailNotice | WebhookNotice, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """An open run, and its parts as they are now."""

    id: UUID
    workload: str | None
    #: None until it is sealed.
    total: int | None
    cancel_requested: bool
    expected_at: datetime | None
    admitted: int
    waiting: int
    in_flight: int
    done: int
    failed: int


def draft(task_id: str, kwargs: Mapping[str, Any]) -> RunDraft:
    """What a sealing message says. Raises ValueError where it is none."""
    try:
        run_id = UUID(task_id)
        options = JobOptions.model_validate(kwargs.get("options"))
    except (ValueError, ValidationError) as error:
        raise ValueError(f"this seals no run: {type(error).__name__}") from None
    request = kwargs.get("request")
    total = request.get("total") if isinstance(request, Mapping) else None
    if not isinstance(total, int) or isinstance(total, bool) or not 0 <= total <= _TOTAL_MAX:
        raise ValueError(f"a run has 0 to {_TOTAL_MAX:,} parts, not {total!r}")
    return RunDraft(
        id=run_id,
        tenant=options.tenant,
        workload=options.workload,
        tier=options.tier,
        total=total,
        notify=tuple(options.notify),
    )


def has_ended(look: Look) -> bool:
    """Whether every part has. Of a cancelled run, whatever was not admitted never comes."""
    open_count = look.admitted - look.done
    if look.cancel_requested:
        return open_count == 0
    return look.total is not None and open_count == 0 and look.done >= look.total


def state(look: Look) -> RunState:
    """Where the run is."""
    if look.cancel_requested:
        return RunState.CANCELLED if has_ended(look) else RunState.CANCELLING
    if has_ended(look):
        return RunState.ENDED
    return RunState.PUBLISHING if look.total is None else RunState.RUNNING


def counts(look: Look, *, now: datetime) -> RunCounts:
    """What the run's caller is told."""
    return RunCounts(
        state=state(look),
        total=look.total,
        admitted=look.admitted,
        waiting=look.waiting,
        in_flight=look.in_flight,
        done=look.done,
        failed=look.failed,
        expected_at=look.expected_at,
        looked_at=now,
    )


def end(look: Look) -> dict[str, Any]:
    """The end of the run's own task."""
    if look.cancel_requested:
        message = f"the run was cancelled; {look.done - look.failed} of its parts were answered"
        return {"error": {"code": "cancelled", "message": message, "retryable": False}}
    reference = RunReference(
        schema=RESULT_SCHEMA,
        run=str(look.id),
        jobs=look.done,
        failed=look.failed,
        workload=look.workload,
    )
    return reference.model_dump(by_alias=True)


def about(look: Look) -> dict[str, Any]:
    """What a notification may tell of it: counts, never a prompt or an answer."""
    failed = look.done if look.cancel_requested else look.failed
    told = "partly" if 0 < failed < look.done else "failed" if failed else "succeeded"
    return {
        "jobs": look.done,
        "failed": failed,
        "state": "cancelled" if look.cancel_requested else told,
        "code": "cancelled" if look.cancel_requested else None,
        "group": True,
        "task_id": str(look.id),
        "workload": look.workload,
    }
