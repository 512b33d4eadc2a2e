"""What may be told a second time of how a task ended, and what never is. Pure.

What is told again may be done again: a mail arrives twice, a webhook under the id that it had, a callback runs under
an id of its own. What has a place in a canvas is run once, whoever asks.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from app.policy.changing import Tally
from app.policy.tickets import TicketState

#: Tasks that one request may be about: the largest provider batch.
TASKS_MAX: Final = 100_000
#: Of a notification that nobody wants any more.
REVOKED: Final = "its task was revoked or cancelled"


class Part(StrEnum):
    """What can be told again."""

    WEBHOOKS = "webhooks"
    MAILS = "mails"
    CALLBACKS = "callbacks"
    #: Written to Redis where it is gone.
    RESULTS = "results"


class Untold(StrEnum):
    """Why something is left. Each is told to whoever wished."""

    NOT_ENDED = "it has not ended"
    BEING_TOLD = "it is just being told: ask again in a moment"
    ON_ITS_WAY = "its mail or webhook is on its way"
    REVOKED = REVOKED
    CHORD = "a chord's body is not run twice"
    CHAIN = "a chain's next step is not run twice"
    CANVAS = "a callback that is a canvas is not run twice"
    ERRBACKS = "errbacks are not called twice"
    PRUNED = "what it asked and was answered is kept no longer"
    NOTICE_PRUNED = "what a mail or webhook said is kept no longer"


#: States of a notification that has ended, one way or another.
_ENDED: Final = frozenset({"done", "dead", "unknown"})
_PARTS: Final = {"email": Part.MAILS, "webhook": Part.WEBHOOKS}


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """A mail or webhook that a task asked for."""

    id: UUID
    kind: str
    state: str
    last_error: str | None
    #: It is sent again for this very request already.
    is_asked: bool
    #: What it said is kept no longer.
    is_pruned: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskNow:
    """A task, as far as telling again cares."""

    ticket_id: int
    job_id: UUID | None
    state: TicketState
    #: It is told again for another request just now.
    is_busy: bool
    #: It is, or was, told again for this very request.
    is_asked: bool
    #: Its content, or its job's, is kept no longer: only its mails and webhooks are.
    is_pruned: bool
    keeps_result: bool
    callbacks_count: int
    notices: Sequence[Notice]
    #: What else follows it.
    others: Sequence[Untold]


@dataclass(frozen=True, kw_only=True, slots=True)
class Telling:
    """What is told again of one task."""

    notices: Sequence[Notice] = ()
    callbacks_count: int = 0
    result: bool = False
    left: Sequence[Untold] = ()

    def tally(self) -> Tally:
        """Count it."""
        did = Counter(str(_PARTS[one.kind]) for one in self.notices)
        did[Part.CALLBACKS] = self.callbacks_count
        did[Part.RESULTS] = int(self.result)
        return Tally(
            did=Counter({str(part): count for part, count in did.items() if count}),
            left=Counter(map(str, self.left)),
        )


def telling(task: TaskNow, only: Collection[Part]) -> Telling:
    """What is told again of a task, of the parts that are asked for."""
    if task.state is TicketState.OPEN:
        return Telling(left=(Untold.NOT_ENDED,))
    if task.state is TicketState.READY or task.is_busy:
        return Telling(left=(Untold.BEING_TOLD,))
    wanted = [one for one in task.notices if _PARTS.get(one.kind) in only]
    left = [why for one in wanted if (why := _kept_back(one)) is not None]
    notices = [one for one in wanted if _kept_back(one) is None]
    if task.is_pruned:
        return Telling(notices=notices, left=[*left, Untold.PRUNED])
    return Telling(
        notices=notices,
        callbacks_count=task.callbacks_count if Part.CALLBACKS in only else 0,
        result=task.keeps_result and Part.RESULTS in only,
        left=[*left, *(task.others if Part.CALLBACKS in only else ())],
    )


def _kept_back(notice: Notice) -> Untold | None:
    if notice.is_asked:
        return None
    if notice.is_pruned:
        return Untold.NOTICE_PRUNED
    if notice.last_error == REVOKED:
        return Untold.REVOKED
    return None if notice.state in _ENDED else Untold.ON_ITS_WAY
