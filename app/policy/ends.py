"""What a ticket's caller gets when its job has ended. Pure."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from app.policy.keeping import CONTENT_PRUNED
from app.policy.lifecycle import JobState
from app.policy.tickets import REVOKED
from unhurried.contract import OUTPUT_INLINE_BYTES_MAX, RESULT_SCHEMA, OnFailure


@dataclass(frozen=True, kw_only=True, slots=True)
class JobEnd:
    """How a job ended, as its tickets tell it."""

    job_id: UUID
    endpoint: str
    model: str
    tier: str
    workload: str | None
    subject: str | None
    key: str | None
    state: str
    outcome: str | None
    output: bytes | None = field(repr=False)
    tool_calls: bytes | None = field(repr=False, default=None)
    usage: bytes | None
    cost_nano_usd: int | None
    result_id: UUID | None
    provider_request_id: str | None
    error_code: str | None
    error_message: str | None
    error_retryable: bool | None
    as_of: datetime
    produced_at: datetime | None
    effective_until: datetime | None
    #: When the answer, and every word about it, was emptied; None while they are there.
    content_pruned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """The Celery task succeeds with this."""

    wire: dict[str, Any]
    #: An output too long to travel, to be stored under the result's id first.
    long_output: bytes | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The Celery task fails with this error value."""

    error: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Revoked:
    """The Celery task was revoked: its chord and its links see what they see of any revoked task."""

    reason: str


#: How a job ends for a ticket.
JobsEnd = Value | Failure
End = JobsEnd | Revoked


def of_job(job: JobEnd, on_failure: OnFailure) -> JobsEnd:
    """The end of a ticket whose job has ended.

    A job that was answered and failed all the same (refused, cut, of another form) hands over as a
    value what it was answered, beside the error: it has been paid for. One whose content was pruned says
    so: an answer that is kept no longer is never an empty one.
    """
    if job.content_pruned_at is not None:
        return _pruned(job, job.content_pruned_at, on_failure)
    if job.state == JobState.SUCCEEDED:
        return _answer(job)
    error = {
        "code": job.error_code or job.state,
        "message": job.error_message or f"the job is {job.state}",
        "retryable": bool(job.error_retryable),
        "request_id": job.provider_request_id,
    }
    told = _answer(job) if job.output is not None else Value(_common(job))
    return without_answer(error, on_failure, told=told, job_id=job.job_id)


def _pruned(job: JobEnd, at: datetime, on_failure: OnFailure) -> JobsEnd:
    """What is left of a job's end: that there was an answer, or the code of why there was none."""
    answered = job.state == JobState.SUCCEEDED
    error = {
        "code": CONTENT_PRUNED if answered else job.error_code or job.state,
        "message": (
            f"the answer was pruned on {at:%Y-%m-%d}: it had been paid for, and the same key buys no second "
            "one; to ask anew, use another key"
            if answered
            else f"the job is {job.state}; why in words was pruned on {at:%Y-%m-%d}"
        ),
        "retryable": not answered and bool(job.error_retryable),
        "request_id": job.provider_request_id,
    }
    told = _common(job) | {
        "outcome": job.outcome,
        "usage": _usage(job),
        "cost_nano_usd": job.cost_nano_usd,
        "content_pruned_at": at.isoformat(),
    }
    return without_answer(error, on_failure, told=Value(told), job_id=job.job_id)


def ready_made(end: bytes, on_failure: OnFailure) -> End:
    """The end of a ticket that was refused or revoked, or whose notification is delivered."""
    said: dict[str, Any] = json.loads(end)
    if "error" not in said:
        return Value(said)
    if said["error"]["code"] == REVOKED:
        # Whatever the policy for failures: nobody asked for a value any more.
        return Revoked(said["error"]["message"])
    return without_answer(said["error"], on_failure)


def without_answer(
    error: dict[str, Any],
    on_failure: OnFailure,
    *,
    told: Value | None = None,
    job_id: UUID | None = None,
) -> JobsEnd:
    """What a failure becomes by policy; `told` is what a value says beside the error."""
    match on_failure:
        case OnFailure.RAISE | OnFailure.RETRY:
            return Failure(error if job_id is None else {**error, "job_id": str(job_id)})
        case OnFailure.RETURN | OnFailure.DROP:
            dropped = {"dropped": True} if on_failure is OnFailure.DROP else {}
            beside = told or Value({"schema": RESULT_SCHEMA})
            return Value({**beside.wire, "error": error, **dropped}, beside.long_output)
        case _:
            assert_never(on_failure)


def _answer(job: JobEnd) -> Value:
    output = job.output or b""
    wire = _common(job) | {
        "outcome": job.outcome,
        "usage": _usage(job),
        "cost_nano_usd": job.cost_nano_usd,
    }
    if job.tool_calls is not None:
        wire["tool_calls"] = json.loads(job.tool_calls)
    if len(output) > OUTPUT_INLINE_BYTES_MAX:
        return Value(wire | {"output_ref": str(job.result_id)}, output)
    return Value(wire | {"output": output.decode()})


def _usage(job: JobEnd) -> dict[str, Any] | None:
    """Tokens as billed; None where the provider left them out: nothing is answered without any."""
    usage: dict[str, Any] = json.loads(job.usage) if job.usage else {}
    return usage if usage.get("input_tokens") or usage.get("output_tokens") else None


def _common(job: JobEnd) -> dict[str, Any]:
    return {
        "schema": RESULT_SCHEMA,
        "job_id": str(job.job_id),
        "result_id": str(job.result_id) if job.result_id else None,
        "endpoint": job.endpoint,
        "model": job.model,
        "tier": job.tier,
        "workload": job.workload,
        "subject": job.subject,
        "key": job.key,
        "provider_request_id": job.provider_request_id,
        "as_of": job.as_of.isoformat(),
        "produced_at": job.produced_at.isoformat() if job.produced_at else None,
        "effective_until": job.effective_until.isoformat() if job.effective_until else None,
    }
