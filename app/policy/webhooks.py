"""What a webhook says. Pure: thin, so that it may be shown anywhere; an answer only where asked for."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from app.policy import about
from unhurried.contract import EventType, WebhookNotice

#: Standard Webhooks asks for less than 20 kB. No text is shorter as JSON: a longer answer fits into no body.
BODY_BYTES_MAX: Final = 20_000
_TYPES: Final[dict[str, EventType]] = {
    "succeeded": EventType.JOB_COMPLETED,
    "failed": EventType.JOB_FAILED,
    "expired": EventType.JOB_EXPIRED,
    "cancelled": EventType.JOB_CANCELLED,
}
_JOB: Final = ("job_id", "task_id", "key", "tier", "workload", "subject", "state")
_GROUP: Final = ("task_id", "workload", "state", "jobs", "failed")
_TIMES: Final = ("as_of", "produced_at", "effective_until")


class UnknownReceiver(ValueError):  # noqa: N818 - reads as what it says
    """A call names a receiver of webhooks that is not set up here."""

    def __init__(self, name: str, receivers: Collection[str]) -> None:
        known = ", ".join(sorted(receivers)) or "none"
        super().__init__(
            f"no webhook receiver {name!r} is set up here (UNHURRIED_WEBHOOKS); set up are: {known}"
        )


def draft(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    task_id: str,
    parent_id: str | None,
    receivers: Collection[str],
) -> dict[str, Any]:
    """The payload of a `webhook` task's notification. Raises UnknownReceiver or ValueError.

    The task's argument, if there is one, is what the step before it returned: results, counts
    (`{"jobs": 79, "failed": 3}`), or as an errback the id of the task that failed. `task_id` is the
    webhook's own task, which a caller knows as that of its canvas; `parent_id` the step before.
    """
    receiver = kwargs.get("receiver")
    if not isinstance(receiver, str):
        raise ValueError("webhook needs the name of a receiver")  # noqa: TRY004 - one kind of refusal
    require_known(receiver, receivers)
    upstream = args[0] if args else None
    match kwargs.get("variant"):
        case None:
            said = about.of_upstream(upstream)
            of_one_job = "job_id" in said and parent_id is not None
            said |= {"task_id": parent_id if of_one_job else task_id}
        case "failed":
            said = about.of_failed_task(upstream)
        case _:
            # Guessing would announce an answer that is not there.
            raise ValueError("variant= must be absent or 'failed'")
    return WebhookNotice(kind="webhook", receiver=receiver).model_dump() | {"about": said}


def require_known(name: str, receivers: Collection[str]) -> None:
    """Raises UnknownReceiver for a name that is not set up."""
    if name not in receivers:
        raise UnknownReceiver(name, receivers)


def event_id(notification_id: UUID) -> str:
    """What a receiver knows a repetition by: the same over every try."""
    return f"evt_{notification_id.hex}"


def event_type(payload: Mapping[str, Any]) -> EventType:
    """What happened."""
    said: Mapping[str, Any] = payload.get("about") or {}
    if said.get("group") or said.get("jobs", 1) != 1:
        return EventType.GROUP_COMPLETED
    ended = EventType.JOB_FAILED if said.get("failed") else EventType.JOB_COMPLETED
    return _TYPES.get(str(said.get("state")), ended)


def body(payload: Mapping[str, Any], *, occurred_at: datetime, output: str | None = None) -> bytes:
    """The bytes to sign and to send. An `output` that makes them too many is left out."""
    said: Mapping[str, Any] = payload.get("about") or {}
    kind = event_type(payload)
    data = _group(said) if kind is EventType.GROUP_COMPLETED else _job(said)
    thin = _encode(kind, occurred_at, data)
    if output is None:
        return thin
    whole = _encode(kind, occurred_at, data | {"output": output})
    return whole if len(whole) < BODY_BYTES_MAX else thin


def _job(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said.get(name) for name in (*_JOB, *_TIMES)} | {"error": _error(said)}


def _group(said: Mapping[str, Any]) -> dict[str, Any]:
    jobs, failed = int(said.get("jobs") or 0), int(said.get("failed") or 0)
    counts = {"jobs": jobs, "succeeded": jobs - failed, "failed": failed}
    told = {name: said.get(name) for name in (*_GROUP, *_TIMES)}
    return told | counts | {"first_code": about.code(said.get("code"))}


def _error(said: Mapping[str, Any]) -> dict[str, Any] | None:
    if not said.get("failed"):
        return None
    return {"code": about.code(said.get("code")), "retryable": bool(said.get("retryable"))}


def _encode(kind: EventType, occurred_at: datetime, data: Mapping[str, Any]) -> bytes:
    timestamp = occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    event = {"type": kind, "timestamp": timestamp, "data": data}
    return json.dumps(event, separators=(",", ":")).encode()
