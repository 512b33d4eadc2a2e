"""What is kept, for how long, and what is pruned when that is over. Pure.

Content is what people wrote and models answered, addresses, and words that may quote either; a record is the row
that is left of it: ids, states, times, tokens, prices. Age counts from the moment when everybody who waited had
been told: a key that is asked again keeps its answer as long as any other. Nothing that is not at an end is pruned,
however old, and why is told.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

#: The code of an end whose answer was there, and is kept no longer.
CONTENT_PRUNED: Final = "content_pruned"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cutoffs:
    """What ended before these moments is pruned."""

    content_before: datetime
    records_before: datetime

    @classmethod
    def at(cls, now: datetime, *, content_days: int, records_days: int) -> Self:
        """Those of a moment. Content never stays longer than its record."""
        return cls(
            content_before=now - timedelta(days=content_days),
            records_before=now - timedelta(days=max(content_days, records_days)),
        )


class Held(StrEnum):
    """Why something that is old enough stays. Each is told to whoever prunes."""

    NOT_ENDED = "it has not ended"
    AWAITED = "a task has not been told of its end"
    NEWS_DUE = "a mail or webhook about it is due"
    RUN_OPEN = "its run has not ended: seal or cancel it"
    CHORD_OPEN = "its chord is not over"
    BATCH_OPEN = "a batch that held it is not settled"
    STRAY_OPEN = "a batch of its account that nobody waits for is not booked"
    RECORD_NEEDED = "its run's record stays"


class Fate(StrEnum):
    """What becomes of something by its age."""

    YOUNG = "young"
    #: What it says is emptied, and the record stays.
    CONTENT = "content"
    RECORD = "record"


@dataclass(frozen=True, kw_only=True, slots=True)
class Aged:
    """A job with its tickets, or a ticket that has no job, as far as its age and what still needs it care."""

    #: None while it has not ended.
    ended_at: datetime | None
    #: When the last task that waited for it was told; None where none was.
    told_at: datetime | None = None
    holds: frozenset[Held] = frozenset()


def fate(one: Aged, wanted: Fate, cutoffs: Cutoffs) -> Fate | Held:
    """`wanted` where it is old enough for that, or why it stays all the same; else that it is too young."""
    if one.ended_at is None:
        return Held.NOT_ENDED
    content = wanted is Fate.CONTENT
    since = max(one.ended_at, one.told_at or one.ended_at)
    if since >= (cutoffs.content_before if content else cutoffs.records_before):
        return Fate.YOUNG
    holds = one.holds - {Held.RECORD_NEEDED} if content else one.holds
    return next((held for held in Held if held in holds), wanted)


def without_words(end: bytes, *, at: datetime) -> bytes:
    """A ticket's ready-made end without what may quote somebody: codes, counts and ids stay."""
    said = json.loads(end)
    if "error" not in said:
        return end
    message = f"why in words was pruned on {at:%Y-%m-%d}"
    return json.dumps({**said, "error": {**said["error"], "message": message}}).encode()


class Kind(StrEnum):
    """What is pruned, as it is counted."""

    JOBS_CONTENT = "content of jobs"
    TICKETS_CONTENT = "content of other tasks"
    NOTIFICATIONS_CONTENT = "content of mails and webhooks"
    QUARANTINE_CONTENT = "content of what nobody could read"
    BATCHES_CONTENT = "providers' words about batches"
    RUNS = "runs"
    JOBS = "jobs"
    TICKETS = "other tasks"
    NOTIFICATIONS = "mails and webhooks"
    PICK_UPS = "pick-ups"
    CHARGES = "charges"
    BATCHES = "batches"
    STRAYS = "strays"
    QUARANTINE = "what nobody could read"
    ACTIONS = "actions"
    EVENTS = "other events"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruned:
    """How many of each kind went, or would go; and of those that are old enough, why others stay."""

    counts: Mapping[Kind, int] = field(default_factory=dict)
    held: Mapping[Held, int] = field(default_factory=dict)
    #: Results among them that somebody awaited and nobody had picked up.
    unread_count: int = 0
    #: What the emptied columns weighed.
    bytes_count: int = 0
    #: When the oldest of them had ended; None where there was none.
    oldest_at: datetime | None = None

    def plus(self, other: "Pruned") -> "Pruned":
        """Both together."""
        return Pruned(
            counts=Counter(self.counts) + Counter(other.counts),
            held=Counter(self.held) + Counter(other.held),
            unread_count=self.unread_count + other.unread_count,
            bytes_count=self.bytes_count + other.bytes_count,
            oldest_at=min(filter(None, (self.oldest_at, other.oldest_at)), default=None),
        )

    @property
    def total(self) -> int:
        """How many things that is."""
        return sum(self.counts.values())
