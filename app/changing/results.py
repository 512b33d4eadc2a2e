"""What a person decides about results: that they count as read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, Engine

from app.changing.decisions import Decisions, Outcome
from app.changing.steady import steadily
from app.ledger import marking_read
from app.ledger.actions import Decision
from app.policy import marking_read as policy
from app.policy.changing import Tally
from app.policy.subjects import Subject

#: Called with how many tasks have been looked at so far.
Progress = Callable[[int], None]


def _silent(_: int) -> None:
    pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What would be done now."""

    tally: Tally
    #: Tasks that are looked at.
    tasks_count: int


class Results:
    """Carries out decisions about results. Safe to repeat and to kill anywhere."""

    def __init__(self, *, engine: Engine, decisions: Decisions) -> None:
        self._engine = engine
        self._decisions = decisions

    def read(
        self, decision: Decision, subject: Subject, *, progress: Progress = _silent
    ) -> Outcome:
        """Let every unread result of a subject count as read; how many, and why others were left.

        Raises UnderWayError, and AnotherDecisionError for a request id that stands for something else.
        """

        def do(_: datetime) -> Outcome:
            page = partial(_read_page, subject, decision.who)
            return _outcome(self._each_page(page, progress).tally)

        return self._decisions.record(decision, do)

    def preview_read(self, subject: Subject) -> Plan:
        """What `read` would do now. Nothing is done."""
        return self._each_page(partial(_read_page, subject, None), _silent)

    def _each_page(
        self,
        page: Callable[[int, Connection, datetime], tuple[int | None, int, Tally]],
        progress: Progress,
    ) -> Plan:
        """All pages, by tickets' ids: each gives its last id, how many it holds and what was done."""
        found, after, seen = Tally.of([]), 0, 0
        while True:
            last, count, tally = steadily(self._engine, partial(page, after))
            if last is None:
                return Plan(tally=found, tasks_count=seen)
            found, after, seen = found.plus(tally), last, seen + count
            progress(seen)


def _read_page(
    subject: Subject, who: str | None, after: int, connection: Connection, now: datetime
) -> tuple[int | None, int, Tally]:
    """Mark one page; without a name nobody decides, and it is only counted."""
    found = marking_read.page(connection, subject, after=after, hold=who is not None)
    steps = [policy.step(one) for one in found]
    marked = [one.ticket_id for one, left in zip(found, steps, strict=True) if left is None]
    if who is not None and marked:
        marking_read.mark(connection, marked, who=who, at=now)
    return found[-1].ticket_id if found else None, len(found), policy.tally(steps)


def _outcome(tally: Tally) -> Outcome:
    return {"did": dict(tally.did), "left": dict(tally.left)}
