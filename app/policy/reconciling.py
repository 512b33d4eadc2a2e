"""Which line of a result file speaks for which job. Pure.

The set of custom_ids decides, never the provider's counts: counts have been seen to lie.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.policy.names import Mark, parse_custom_id
from app.policy.outcomes import Answered, Outcome


@dataclass(frozen=True, slots=True)
class Seen:
    """A line as far as reconciling cares; `custom_id` None for one that could not be read."""

    custom_id: str | None
    outcome: Outcome | None


@dataclass(kw_only=True, slots=True)
class Survey:
    """What a whole download holds. Line numbers count from 0."""

    #: The line that speaks for each job: the first answered one, or else the first.
    chosen: dict[UUID, int] = field(default_factory=dict)
    #: Jobs that were answered: whatever else a file lacks, these are paid for and here.
    answered: set[UUID] = field(default_factory=set)
    #: Lines that speak for no job of this pack: another's, or unreadable.
    strangers: set[int] = field(default_factory=set)
    #: Of those: whose they say that they are.
    marks: set[Mark] = field(default_factory=set)
    #: Of those: could not be read, so they may be anybody's.
    unreadable: int = 0
    #: Lines of jobs that another line speaks for.
    repeats: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there was no line at all, whoever's."""
        return not self.chosen and not self.strangers


class Owner(StrEnum):
    """Whose a batch is that was adopted because nothing else could be it."""

    OURS = "ours"
    #: Nothing in it is ours, and that is certain.
    STRANGER = "stranger"
    #: It may still be ours: look again.
    UNCLEAR = "unclear"


@dataclass(frozen=True, kw_only=True, slots=True)
class Emptiness:
    """When a result file without a single line is believed, of a batch that nothing else proves ours."""

    #: Whole reads that must find it so.
    looks: int
    #: How long ago the batch must have ended, as the provider says.
    after: timedelta


def stays_empty(looks: int, *, ended_at: datetime | None, now: datetime, enough: Emptiness) -> bool:
    """Whether a file that was empty at each of so many `looks` holds nothing, whoever's it is.

    Lines that are late would be ours as well, and paid for: a batch that does not say when it ended is
    waited for as long as the provider keeps it.
    """
    return looks >= enough.looks and ended_at is not None and now - ended_at >= enough.after


def holds_all(lines: int, *, total: int) -> bool:
    """Whether a file has a line for each request of a batch that no pack of ours lists.

    A batch that says no `total` may lack any number. One that says too many stays short (`stays_empty`).
    """
    return 0 < total <= lines


def owner(found: Survey, *, requests: int, last_look: bool) -> Owner:
    """Whose the results are. `requests` is how many the batch holds, by which it was adopted.

    A file that breaks off in its first line shows none of our ids either: only ids of others, and either all
    of them or nothing more on the last look, prove a stranger. One that stays empty (`stays_empty`; it is no
    last look before) holds nothing that was paid for, whoever's it is: a batch with lines is looked for then.
    """
    if found.chosen:
        return Owner.OURS
    foreign = len(found.strangers) - found.unreadable
    if not found.unreadable and foreign >= requests:
        return Owner.STRANGER
    says_something = foreign > 0 or not found.unreadable
    return Owner.STRANGER if last_look and says_something else Owner.UNCLEAR


def survey(lines: Iterable[Seen], *, token: str, jobs: Collection[UUID]) -> Survey:
    """Read a download through once. `jobs` is everything the pack was made of."""
    found = Survey()
    for number, line in enumerate(lines):
        parts = parse_custom_id(line.custom_id) if line.custom_id is not None else None
        if parts is None or parts.token != token or parts.job_id not in jobs:
            found.strangers.add(number)
            found.unreadable += line.custom_id is None
            if parts is not None:
                found.marks.add(Mark(parts.deployment, parts.token))
            continue
        job_id = parts.job_id
        is_answer = isinstance(line.outcome, Answered)
        if job_id in found.chosen:
            found.repeats += 1
            if is_answer and job_id not in found.answered:
                found.chosen[job_id] = number
        else:
            found.chosen[job_id] = number
        if is_answer:
            found.answered.add(job_id)
    return found
