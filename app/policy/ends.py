"""What a ticket's caller gets when its job has ended. Pure."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.policy.lifecycle import JobState
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


End = Value | Failure


def of_job(job: JobEnd, on_failure: OnFailure) -> End:
    """The end of a ticket whose job has ended."""
    if job.state == JobState.SUCCEEDED:
        return _answer(job)
    error = {
        "code": job.error_code or job.state,
        "message": job.error_message or f"the job is {job.state}",
        "retryable": bool(job.error_retryable),
        "request_id": job.provider_request_id,
    }
    if on_failure is OnFailure.RETURN:
        return Value({**_common(job), "error": error})
    return Failure({**error, "job_id": str(job.job_id)})


def ready_made(end: bytes, on_failure: OnFailure) -> End:
    """The end of a ticket that was refused, or whose notification is delivered."""
    said: dict[str, Any] = json.loads(end)
    if "error" not in said:
        return Value(said)
    if on_failure is OnFailure.RETURN:
        return Value({"schema": RESULT_SCHEMA, "error": said["error"]})
    return Failure(said["error"])


def _answer(job: JobEnd) -> Value:
    output = job.output or b""
    wire = _common(job) | {
        "outcome": job.outcome,
        "usage": json.loads(job.usage) if job.usage else None,
        "cost_nano_usd": job.cost_nano_usd,
    }
    if len(output) > OUTPUT_INLINE_BYTES_MAX:
        return Value(wire | {"output_ref": str(job.result_id)}, output)
    return Value(wire | {"output": output.decode()})


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
