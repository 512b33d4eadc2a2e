"""What a batch in a provider's list is to this ledger, once it is known whose mark it carries. Pure.

Nothing is sent for an account before every batch there is accounted for: after a start, or after the
ledger was restored from a backup, one of them may be ours and hold the very jobs that wait.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from app.policy.lifecycle import UNSENT, SubmissionState
from app.policy.names import Mark

#: Between a job's admission by the ledger's clock and its batch's making by the provider's.
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_UNDER_WAY: Final = frozenset({SubmissionState.SENDING, SubmissionState.UNKNOWN})
#: How many batches a message names.
_NAMED_MAX: Final = 3


class Unmarked(StrEnum):
    """A batch that shows no mark of ours."""

    #: It never will: it is somebody else's.
    STRANGER = "stranger"
    #: Its results would tell, and they are not there yet.
    UNPROVEN = "unproven"


class Verdict(StrEnum):
    """What follows from a batch that no submission of this ledger is known to stand behind."""

    #: Left alone.
    STRANGER = "stranger"
    #: Left alone, and nothing is sent until it has ended: it may be ours.
    UNPROVEN = "unproven"
    #: Its submission waits for a reply or is looked for: that way it is found.
    UNDER_WAY = "under_way"
    #: Its submission was never sent, as far as this ledger knows (it was restored), or has another's on trial.
    ADOPT = "adopt"
    #: Its submission has another batch, or was given up: cancelled, and booked.
    SURPLUS = "surplus"
    #: This ledger has never heard of its submission: it was restored. Its answers are wanted.
    FORGOTTEN = "forgotten"


#: What the ledger keeps of a batch that is none of a submission's.
REASONS: Final[Mapping[Verdict, str]] = {
    Verdict.SURPLUS: "it came after it had been given up",
    Verdict.FORGOTTEN: "this ledger was restored from before it was made",
    Verdict.STRANGER: "its results carry none of our ids",
}


def mark_of(marks: Collection[Mark], *, deployment: str) -> Mark | Unmarked:
    """Which of the marks in a batch's results speaks for it: one of ours, if there is any."""
    ours = (mark for mark in marks if mark.deployment == deployment)
    return next(ours, next(iter(marks), Unmarked.STRANGER))


def verdict(
    mark: Mark | Unmarked,
    *,
    deployment: str,
    submission: SubmissionState | None,
    on_trial: bool = False,
) -> Verdict:
    """What a batch is. `submission` is the state of the one that the mark names; None for no such.

    `on_trial`: it has a batch already, which nothing proves to be its own. This one is.
    """
    if mark is Unmarked.UNPROVEN:
        return Verdict.UNPROVEN
    if not isinstance(mark, Mark):
        return Verdict.STRANGER
    if mark.deployment != deployment:
        # The create of a version, or under a name, that called this ledger otherwise may be looked for by its
        # token. Anything more is not done to it: a copy of this ledger, under its own name, has the tokens too.
        return Verdict.UNDER_WAY if on_trial or submission in _UNDER_WAY else Verdict.STRANGER
    if submission is None:
        return Verdict.FORGOTTEN
    if on_trial or submission in UNSENT:
        return Verdict.ADOPT
    return Verdict.UNDER_WAY if submission in _UNDER_WAY else Verdict.SURPLUS


def held_because(*, unproven: list[str], wanted_count: int) -> str | None:
    """Why nothing may be sent for an account, for people; None where everything is accounted for."""
    reasons = []
    if unproven:
        named = ", ".join(unproven[:_NAMED_MAX]) + (", ..." if len(unproven) > _NAMED_MAX else "")
        reasons.append(
            f"{len(unproven)} batches of this workspace may be ours or somebody else's ({named}): their "
            "results will tell"
        )
    if wanted_count:
        reasons.append(
            f"{wanted_count} batches of ours are not in this ledger, which was restored: their answers "
            "are brought in first"
        )
    return "; ".join(reasons) or None


def may_answer(*, job_admitted_at: datetime, batch_created_at: datetime | None) -> bool:
    """Whether a batch can hold an answer to a job: one that was admitted after it was made cannot.

    The id of a job is its key's: after a restore the same key may have come again, with another request.
    """
    if batch_created_at is None:
        return False
    return job_admitted_at <= batch_created_at + _CLOCKS_DIFFER
