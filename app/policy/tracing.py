"""A caller's trace, as its messages carry it, and what a call and a batch are in it. Pure.

Calls are told by OpenTelemetry's names for generative AI, which say nothing of what was said.

W3C Trace Context: `traceparent` names the trace and the span that published, `tracestate` is others' own.
Baggage is not carried: it may hold anything.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.policy.ends import JobEnd
from app.policy.lifecycle import JobState

_PARENT: Final = "traceparent"
_STATE: Final = "tracestate"
_PARENT_FORM: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
#: Printable ASCII, with no space at its ends: it goes into an HTTP header, and with one there no request
#: would be sent. The specification asks for 512 characters at least.
_STATE_FORM: Final = re.compile(r"(?! )[\x20-\x7e]{1,512}(?<! )")
_NOTHING: Final = re.compile("0+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Something that took time and is over. No attribute holds what anybody said."""

    name: str
    began_at: datetime
    ended_at: datetime
    #: The trace it belongs to; empty begins one of its own.
    trace: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    #: Why it failed, as a word; None where it did not.
    error: str | None = None
    #: The submission whose batch it was answered in.
    batch: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What was asked of whom, for which task."""

    task_id: str
    job_id: UUID
    provider: str
    endpoint: str
    model: str
    tier: str


def of_job(
    job: JobEnd,
    *,
    task_id: str,
    provider: str,
    began_at: datetime,
    ended_at: datetime,
    trace: Mapping[str, str],
    batch: UUID | None = None,
) -> Span:
    """The span of a call whose job has ended, from its publishing to its end."""
    asked = Asked(
        task_id=task_id,
        job_id=job.job_id,
        provider=provider,
        endpoint=job.endpoint,
        model=job.model,
        tier=job.tier,
    )
    told = _about(asked, outcome=job.outcome or job.state)
    usage: dict[str, int] = json.loads(job.usage) if job.usage else {}
    for name in ("input_tokens", "output_tokens"):
        if usage.get(name):
            told[f"gen_ai.usage.{name}"] = usage[name]
    return Span(
        name=_name(asked),
        began_at=began_at,
        ended_at=ended_at,
        trace=trace,
        attributes=told,
        error=(job.error_code or job.state) if job.state != JobState.SUCCEEDED else None,
        batch=batch,
    )


def without_end(
    asked: Asked, *, code: str, began_at: datetime, ended_at: datetime, trace: Mapping[str, str]
) -> Span:
    """The span of a call that came to no end that anybody knows: its error is the code its caller gets."""
    return Span(
        name=_name(asked),
        began_at=began_at,
        ended_at=ended_at,
        trace=trace,
        attributes=_about(asked, outcome=code),
        error=code,
    )


def _name(asked: Asked) -> str:
    return f"{operation(asked.endpoint)} {asked.model}"


def _about(asked: Asked, *, outcome: str) -> dict[str, str | int | float | bool]:
    return {
        "gen_ai.provider.name": asked.provider,
        "gen_ai.operation.name": operation(asked.endpoint),
        "gen_ai.request.model": asked.model,
        "unhurried.tier": asked.tier,
        "unhurried.outcome": outcome,
        "unhurried.job_id": str(asked.job_id),
        "unhurried.task_id": asked.task_id,
    }


def carried(headers: Mapping[str, Any]) -> dict[str, str]:
    """What of a message's headers goes on to whatever follows it; nothing where it names no trace."""
    parent, state = headers.get(_PARENT), headers.get(_STATE)
    if not isinstance(parent, str) or trace_id(parent) is None:
        return {}
    found = {_PARENT: parent}
    if isinstance(state, str) and _STATE_FORM.fullmatch(state):
        found[_STATE] = state
    return found


def trace_id(parent: object) -> str | None:
    """The trace that a `traceparent` names; None where it is none."""
    if not isinstance(parent, str):
        return None
    read = _PARENT_FORM.fullmatch(parent)
    if read is None or any(_NOTHING.fullmatch(one) for one in read.groups()):
        return None
    return read[1]


def goes_on(headers: Mapping[str, Any], trace: Mapping[str, str]) -> dict[str, str]:
    """What a message that follows has to carry beside its own headers.

    Whoever publishes within that trace, and says so, knows the nearer parent.
    """
    if not trace or trace_id(headers.get(_PARENT)) == trace_id(trace[_PARENT]):
        return {}
    return dict(trace)


def batch_ids(submission_id: UUID) -> tuple[int, int]:
    """Trace and span of a submission's batch: known to whoever knows the submission, and never stored."""
    number = submission_id.int
    return number, number & (2**64 - 1)


def operation(endpoint: str) -> str:
    """What OpenTelemetry calls what an endpoint does."""
    return "embeddings" if endpoint == "embeddings" else "chat"
