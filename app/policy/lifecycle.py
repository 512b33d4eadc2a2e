"""States of jobs and submissions, and moves between them, as values.

A move carries its own guard: the state and the attempt it was decided on. Applied late or twice, it
changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from app.policy.outcomes import Answered


class JobState(StrEnum):
    """Where a job is. The last four are ends; only a person leads out of two of them."""

    WAITING = "waiting"
    IN_FLIGHT = "in_flight"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


ENDED: Final = frozenset(
    {JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED}
)


class SubmissionState(StrEnum):
    """Where a handing-over is.

    planned -> (uploaded ->) sending -> accepted -> collected; a definite no goes back to planned or
    uploaded; a lost reply goes to unknown, and from there to accepted (found) or absent (proven).
    """

    PLANNED = "planned"
    UPLOADED = "uploaded"
    #: The intent is committed: from here on the provider may have the batch.
    SENDING = "sending"
    #: The reply was lost: the provider may have the batch. Never repeated: looked for.
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    #: Every line is settled.
    COLLECTED = "collected"
    #: The provider refused the body for good; its jobs went to smaller packs or failed.
    REJECTED = "rejected"
    #: Looked for and proven not to exist; its pack has another submission.
    ABSENT = "absent"
    #: Nothing ran: the provider refused the batch in validation, or the pack was taken apart unsent.
    VOID = "void"


#: Every change of a job's state there is; the database refuses any other.
JOB_MOVES: Final = frozenset(
    {
        (JobState.WAITING, JobState.IN_FLIGHT),
        (JobState.WAITING, JobState.FAILED),
        (JobState.WAITING, JobState.EXPIRED),
        (JobState.WAITING, JobState.CANCELLED),
        (JobState.IN_FLIGHT, JobState.WAITING),
        *((JobState.IN_FLIGHT, ended) for ended in ENDED),
        # A person has it tried again.
        (JobState.FAILED, JobState.WAITING),
        (JobState.EXPIRED, JobState.WAITING),
    }
)

#: The provider has nothing of it yet, as far as we know.
UNSENT: Final = (SubmissionState.PLANNED, SubmissionState.UPLOADED)
_AFTER_UNSENT: Final = (
    SubmissionState.SENDING,
    SubmissionState.REJECTED,
    # Found by a sweep: a ledger that was restored from a backup made it, and has forgotten.
    SubmissionState.ACCEPTED,
    SubmissionState.VOID,
)
_AFTER_SENDING: Final = (
    *UNSENT,
    SubmissionState.ACCEPTED,
    SubmissionState.REJECTED,
    SubmissionState.UNKNOWN,
)

#: Every change of a submission's state there is; the database refuses any other.
SUBMISSION_MOVES: Final = frozenset(
    {
        (SubmissionState.PLANNED, SubmissionState.UPLOADED),
        *((unsent, after) for unsent in UNSENT for after in _AFTER_UNSENT),
        *((SubmissionState.SENDING, after) for after in _AFTER_SENDING),
        (SubmissionState.UNKNOWN, SubmissionState.ACCEPTED),
        (SubmissionState.UNKNOWN, SubmissionState.ABSENT),
        (SubmissionState.ACCEPTED, SubmissionState.UNKNOWN),
        (SubmissionState.ACCEPTED, SubmissionState.COLLECTED),
        (SubmissionState.ACCEPTED, SubmissionState.VOID),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Succeed:
    """The job is answered."""

    job_id: UUID
    attempt: int
    answer: Answered
    cost_nano_usd: int | None
    sync_cost_nano_usd: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fail:
    """The job ends without an answer, or with one that is not what was asked for."""

    job_id: UUID
    attempt: int
    state: JobState
    outcome: str
    code: str
    message: str
    retryable: bool
    request_id: str | None = None
    #: What was paid for and cannot be used as it is.
    answer: Answered | None = None
    cost_nano_usd: int | None = None
    sync_cost_nano_usd: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """The job waits again, not before `ready_at`."""

    job_id: UUID
    attempt: int
    outcome: str
    code: str
    ready_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class GiveBack:
    """The job waits again as if the attempt had never been: nobody looked at its request."""

    job_id: UUID
    attempt: int
    ready_at: datetime
    #: The provider's, where it had one for this very request.
    code: str | None = None


#: Moves of jobs that are in flight, decided from an outcome.
Move = Succeed | Fail | Retry | GiveBack


def cancelled_instead(move: Retry | GiveBack) -> Fail:
    """The end of a job that would wait again and that nobody wants any more.

    An attempt that may have been paid for unseen stays known as such.
    """
    return cancelled(
        move.job_id,
        move.attempt,
        "it was cancelled in flight, and came back without an answer",
        outcome=move.outcome if isinstance(move, Retry) else "given_back",
    )


def cancelled(job_id: UUID, attempt: int, message: str, *, outcome: str = "cancelled") -> Fail:
    """The end of a job that is cancelled; the same call may be made again."""
    return Fail(
        job_id=job_id,
        attempt=attempt,
        state=JobState.CANCELLED,
        outcome=outcome,
        code="cancelled",
        message=message,
        retryable=True,
    )
