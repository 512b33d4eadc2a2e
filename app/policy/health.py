"""How a batch is, by what we know of it and what time it is. Pure.

Progress is for display alone: Anthropic's counts stay zero until the whole batch has ended, so "no progress for
an hour" would call every healthy batch stuck.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.policy.findings import counted, spoken
from app.policy.lifecycle import UNSENT, SubmissionState
from app.policy.standing import Batch, Limits

_UNANSWERED: Final = frozenset({SubmissionState.SENDING, SubmissionState.UNKNOWN})


class Health(StrEnum):
    """How a batch is, the worst first."""

    STUCK = "stuck"
    OVERDUE = "overdue"
    UNREAD = "unread"
    SLOW = "slow"
    OK = "ok"
    DONE = "done"


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchHealth:
    """A batch, how it is, and why, for people."""

    batch: Batch
    health: Health
    cause: str


def of_batch(batch: Batch, now: datetime, limits: Limits) -> BatchHealth:
    """The worst that can be said of it."""
    for health, cause in _complaints(batch, now, limits):
        return BatchHealth(batch=batch, health=health, cause=cause)
    if batch.state is SubmissionState.COLLECTED:
        return BatchHealth(batch=batch, health=Health.DONE, cause="every result is settled")
    return BatchHealth(batch=batch, health=Health.OK, cause=_usual(batch, now))


def _complaints(batch: Batch, now: datetime, limits: Limits) -> Iterator[tuple[Health, str]]:
    lost = cannot_follow(batch, now, limits) or unresolved(batch, now, limits)
    if lost:
        yield Health.STUCK, lost
    late = overdue(batch, now)
    if late:
        yield Health.OVERDUE, late
    if batch.unread_since is not None and now - batch.unread_since > limits.pick_up_within:
        waited = spoken(now - batch.unread_since)
        yield Health.UNREAD, f"results have been there for {waited} and nobody has picked them up"
    long = slow(batch, now)
    if long:
        yield Health.SLOW, long


def cannot_follow(batch: Batch, now: datetime, limits: Limits) -> str | None:
    """Why a batch that the provider took can no longer be followed; None where it can."""
    if batch.state is not SubmissionState.ACCEPTED:
        return None
    seen_at = batch.observed_at or batch.accepted_at or batch.created_at
    why = f" ({batch.last_error})" if batch.last_error else ""
    if now - seen_at > limits.look_within:
        return f"the last good look at it was {spoken(now - seen_at)} ago{why}"
    ends_at = batch.expires_at
    if batch.ended_at is None and ends_at is not None and now - ends_at > limits.expiry_grace:
        return f"the provider's window closed {spoken(now - ends_at)} ago and no end is seen"
    if batch.ended_at is not None and now - batch.ended_at > limits.results_within:
        return f"it ended {spoken(now - batch.ended_at)} ago and its results are not in{why}"
    return None


def unresolved(batch: Batch, now: datetime, limits: Limits) -> str | None:
    """Why nobody knows whether there is such a batch; None while that is usual, or known."""
    if batch.state not in _UNANSWERED:
        return None
    since = now - (batch.sent_at or batch.created_at)
    if since <= limits.create_within:
        return None
    return f"its create got no clear reply {spoken(since)} ago, and it is neither found nor absent"


def overdue(batch: Batch, now: datetime) -> str | None:
    """Why a batch is too late for a job in it; None where it is not."""
    if batch.state is SubmissionState.COLLECTED or batch.due_at is None or now <= batch.due_at:
        return None
    return f"a due time passed {spoken(now - batch.due_at)} ago while it runs"


def slow(batch: Batch, now: datetime) -> str | None:
    """Why a batch is slow, by its own history; None where it is as usual."""
    if batch.state is not SubmissionState.ACCEPTED or batch.typical is None:
        return None
    age = now - (batch.accepted_at or batch.created_at)
    if batch.ended_at is not None or age <= batch.typical:
        return None
    return f"it runs for {spoken(age)}; nine of ten like it took {spoken(batch.typical)} at most"


def _usual(batch: Batch, now: datetime) -> str:
    if batch.state in UNSENT:
        return f"packed {spoken(now - batch.created_at)} ago, not sent yet"
    if batch.state in _UNANSWERED:
        return f"its create is under way for {spoken(now - (batch.sent_at or batch.created_at))}"
    if batch.ended_at is not None:
        return "it has ended and is being brought in"
    age = spoken(now - (batch.accepted_at or batch.created_at))
    return f"{counted(batch.jobs_count, 'job')} at the provider for {age}, as is usual"
