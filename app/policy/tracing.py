"""A caller's trace, as its messages carry it, and what a call and a batch are in it. Pure.

W3C Trace Context: `traceparent` names the trace and the span that published, `tracestate` is others' own.
Baggage is not carried: it may hold anything.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

_PARENT: Final = "traceparent"
_STATE: Final = "tracestate"
_PARENT_FORM: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
#: Printable ASCII; it goes into an HTTP header. The specification asks for 512 characters at least.
_STATE_FORM: Final = re.compile(r"[\x20-\x7e]{1,512}")
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
