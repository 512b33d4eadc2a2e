"""What a person's wish does to a job, by where the job is. Pure.

What is paid for is kept, and nothing is bought twice: a job that is with a provider comes to its end there.
Where an answer may have been paid for already, asking again takes a consent of its own.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, assert_never
from uuid import UUID

from app.policy.lifecycle import ENDED, JobState
from unhurried.contract import Tier


class What(StrEnum):
    """What a person may decide."""

    CANCEL = "cancel"
    EXPEDITE = "expedite"
    DUE = "due"
    RETRY = "retry"
    FLUSH = "flush"
    POLL = "poll"
    PAUSE = "pause"
    RESUME = "resume"
    PRUNE = "prune"
    READ = "read"
    REDELIVER = "redeliver"


#: What a decision does not take back, for whoever is about to make it.
NOT_UNDONE: Final[Mapping[What, str]] = MappingProxyType(
    {
        What.CANCEL: "What is with a provider comes to its end there: what is answered by then is paid for, "
        "kept and delivered, the rest is not sent again. What followed earlier results stays done.",
        What.EXPEDITE: "A faster tier costs the full price, and there is no way back to batch. What is with a "
        "provider stays there.",
        What.DUE: "What has expired stays so: retry it.",
        What.RETRY: "Chords, runs and errbacks that were told of the failure stay told. A task outside of them "
        "gets its answer late, with what follows it.",
        What.FLUSH: "Packs go short: more batches, and less that prompts share.",
        What.PAUSE: "What is with a provider goes on, and so do calls that users wait for. Nothing resumes this "
        "lane but a person.",
        What.RESUME: "A key that still does not work pauses its account again.",
        What.PRUNE: "Nothing brings back what is pruned. What is not at an end stays, however old it is.",
        What.POLL: "Nothing is changed by it.",
        What.READ: "Nobody is missed as a reader of these results any more, and no alarm says so. The results stay "
        "where they are; who reads them later is still recorded.",
        What.REDELIVER: "A mail arrives twice. A webhook is posted again under the id that it had, for its receiver to "
        "know. Callbacks run again, with what follows them: unhurried.once() keeps an effect single. Chord bodies, "
        "next steps of chains and errbacks are not run twice.",
    }
)


def unended(request_id: UUID) -> str:
    """Of a decision that nobody has recorded the end of; to repeat it does the rest, and nothing twice."""
    return (
        "began, its end is not recorded: it goes on, or was cut off, and is repeated "
        f"with --request-id {request_id}"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancel:
    """Nobody wants an answer any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expedite:
    """The answer is wanted sooner, at full price."""

    to: Tier = Tier.NEAR_REAL_TIME


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """After this moment an answer is of no use; None waits as long as it takes."""

    at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """What failed is tried again."""

    #: Consent to buy once more what may have been paid for.
    even_if_paid: bool = False
    #: Another due time, where the old one has passed.
    due_at: datetime | None = None


Wish = Cancel | Expedite | Due | Retry


@dataclass(frozen=True, kw_only=True, slots=True)
class JobNow:
    """A job, as far as a wish cares."""

    id: UUID
    attempt: int
    state: JobState
    tier: str
    due_at: datetime | None
    #: Nobody wants it any more already.
    cancel_requested: bool = False
    #: A task waits for it that the wish does not speak for.
    others_wait: bool = False
    #: How its attempts have ended.
    outcomes: frozenset[str] = frozenset()
    #: There is an answer, if not the one that was asked for.
    is_answered: bool = False
    #: A task is just being told how it ended.
    is_being_told: bool = False
    #: What it asked is kept no longer.
    is_pruned: bool = False


class Deed(StrEnum):
    """What is done to a job."""

    #: It waits, and ends now.
    CANCELLED = "cancelled"
    #: It is with a provider: it is never sent again, and an answer that comes all the same is kept.
    ASKED_TO_END = "asked_to_end"
    #: The task that asked ends; the job goes on for others.
    LET_GO = "let_go"
    EXPEDITED = "expedited"
    DUE_CHANGED = "due_changed"
    REOPENED = "reopened"


class Left(StrEnum):
    """Why nothing is done to a job. Each is told to whoever wished."""

    ENDED = "it has ended"
    NOT_ENDED = "it has not ended"
    ANSWERED = "it is answered"
    CANCELLED = "it was cancelled: publish it again"
    WITH_PROVIDER = "it is with a provider, and comes to its end there"
    AS_FAST = "it is at a tier that is as fast"
    DIRECT = "a direct call is its caller's to repeat"
    OTHERS = "others wait for it, and need it for as long as before"
    PERHAPS_PAID = "it may have been paid for: buying it twice takes a consent"
    BEING_TOLD = "its callers are just being told: ask again in a moment"
    PRUNED = "what it asked was pruned: publish it again, under another key"
    TOO_LATE = "its due time has passed: say another one"


Step = Deed | Left

#: The tiers that a job can be expedited to. `sync` is for a user who waits at the other end of a line.
FASTER: Final = frozenset({Tier.NEAR_REAL_TIME})
#: Attempts that were billed, or may have been.
_PERHAPS_PAID: Final = frozenset(
    {"lost", "missing", "refused", "truncated", "paused", "incomplete", "mismatch"}
)

_NOT_AGAIN: Final = {
    JobState.SUCCEEDED: Left.ANSWERED,
    JobState.CANCELLED: Left.CANCELLED,
    JobState.WAITING: Left.NOT_ENDED,
    JobState.IN_FLIGHT: Left.NOT_ENDED,
}


def require_possible(wish: Wish, *, now: datetime) -> None:
    """Raise ValueError, for people, where a wish can be granted to no job at all."""
    match wish:
        case Expedite() if wish.to not in FASTER:
            raise ValueError(f"jobs are expedited to {', '.join(sorted(FASTER))}, not {wish.to}")
        case Due() | Retry():
            moment = wish.at if isinstance(wish, Due) else wish.due_at
            if moment is not None and moment <= now:
                raise ValueError("a due time that has passed would end the jobs: cancel them")
        case _:
            pass


def step(wish: Wish, job: JobNow, *, now: datetime) -> Step:
    """What a wish does to a job. The same wish again does nothing more."""
    match wish:
        case Cancel():
            return _cancel(job)
        case Expedite():
            return _expedite(job)
        case Due():
            return _due(wish, job)
        case Retry():
            return _retry(wish, job, now)
        case _:
            assert_never(wish)


def _cancel(job: JobNow) -> Step:
    if job.state in ENDED:
        return Left.ENDED
    if job.others_wait:
        return Deed.LET_GO
    return Deed.CANCELLED if job.state is JobState.WAITING else Deed.ASKED_TO_END


def _expedite(job: JobNow) -> Step:
    if job.state in ENDED:
        return Left.ENDED
    if job.tier != Tier.BATCH:
        return Left.AS_FAST
    if job.state is JobState.IN_FLIGHT or job.cancel_requested:
        return Left.WITH_PROVIDER
    return Deed.EXPEDITED


def _due(wish: Due, job: JobNow) -> Step:
    if job.state in ENDED:
        return Left.ENDED
    sooner = wish.at is not None and (job.due_at is None or wish.at < job.due_at)
    return Left.OTHERS if job.others_wait and sooner else Deed.DUE_CHANGED


def _retry(wish: Retry, job: JobNow, now: datetime) -> Step:
    refused = _NOT_AGAIN.get(job.state) or (Left.PRUNED if job.is_pruned else None)
    if refused is not None:
        return refused
    if job.tier == Tier.SYNC:
        return Left.DIRECT
    if job.is_being_told:
        return Left.BEING_TOLD
    due_at = wish.due_at or job.due_at
    if due_at is not None and due_at <= now:
        return Left.TOO_LATE
    if may_be_paid(job) and not wish.even_if_paid:
        return Left.PERHAPS_PAID
    return Deed.REOPENED


def may_be_paid(job: JobNow) -> bool:
    """Whether an attempt was billed, or nobody knows that it was not."""
    return job.is_answered or bool(job.outcomes & _PERHAPS_PAID)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How many jobs were touched, by what was done, and how many were left, by why."""

    did: Counter[str]
    left: Counter[str]

    @classmethod
    def of(cls, steps: Iterable[Step]) -> "Tally":
        """Count steps."""
        found = list(steps)
        return cls(
            did=Counter(str(one) for one in found if isinstance(one, Deed)),
            left=Counter(str(one) for one in found if isinstance(one, Left)),
        )

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(did=self.did + other.did, left=self.left + other.left)

    @property
    def touched(self) -> int:
        """How many jobs something was done to."""
        return sum(self.did.values())
