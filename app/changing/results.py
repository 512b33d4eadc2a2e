"""What a person decides about results: that they count as read, or that what was told of them is told again."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine

from app.changing.decisions import Decisions, Outcome
from app.changing.steady import steadily
from app.ledger import marking_read, telling_again
from app.ledger.actions import Decision
from app.ledger.telling_again import Following
from app.ledger.tickets import ReadyTicket
from app.policy import marking_read as policy
from app.policy.changing import Tally
from app.policy.subjects import Subject
from app.policy.telling_again import TASKS_MAX, Part, Telling, telling

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

    def __init__(
        self,
        *,
        engine: Engine,
        decisions: Decisions,
        follows: Callable[[ReadyTicket, bool], Following],
    ) -> None:
        self._engine = engine
        self._decisions = decisions
        self._follows = follows

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

    def redeliver(
        self,
        decision: Decision,
        subject: Subject,
        *,
        only: Collection[Part] = frozenset(Part),
        tasks_max: int = TASKS_MAX,
        progress: Progress = _silent,
    ) -> Outcome:
        """Have it told again how a subject's tasks ended; what is on its way, by part, and what was left, by why.

        It is staged when this returns, and told by the notifier and the completer. Raises ValueError for more
        than `tasks_max` tasks; UnderWayError and AnotherDecisionError as `read`.
        """
        self._require_few(subject, tasks_max)

        def do(_: datetime) -> Outcome:
            again = _Again(decision.request_id, only, self._follows, who=decision.who)
            return _outcome(self._each_page(partial(again.page, subject), progress).tally)

        return self._decisions.record(decision, do)

    def preview_redeliver(
        self, subject: Subject, *, only: Collection[Part] = frozenset(Part)
    ) -> Plan:
        """What `redeliver` would do now. Nothing is done. Raises ValueError for too many tasks."""
        self._require_few(subject, TASKS_MAX)
        again = _Again(uuid4(), only, self._follows, who=None)
        return self._each_page(partial(again.page, subject), _silent)

    def _require_few(self, subject: Subject, tasks_max: int) -> None:
        with self._engine.connect() as connection:
            count = telling_again.count(connection, subject, limit=tasks_max + 1)
        if count > tasks_max:
            raise ValueError(
                f"at most {tasks_max:,} tasks are told again at once: narrow it down"
                + (", or use the command" if tasks_max < TASKS_MAX else "")
            )

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


@dataclass(frozen=True, slots=True)
class _Again:
    """One request to tell again."""

    request_id: UUID
    only: Collection[Part]
    follows: Callable[[ReadyTicket, bool], Following]
    #: None decides nothing, and it is only counted.
    who: str | None = field(kw_only=True)
    #: Several tasks have one mail in common, such as a chord's: it is counted once.
    _counted: set[UUID] = field(default_factory=set)

    def page(
        self, subject: Subject, after: int, connection: Connection, now: datetime
    ) -> tuple[int | None, int, Tally]:
        """Stage one page; its last ticket, how many it holds and what is on its way."""
        found = telling_again.page(
            connection,
            subject,
            self.follows,
            request_id=self.request_id,
            after=after,
            hold=self.who is not None,
        )
        tellings = [(task, telling(task, self.only)) for task in found]
        if self.who is not None and tellings:
            telling_again.stage(
                connection, tellings, request_id=self.request_id, who=self.who, at=now
            )
        tally = Tally.of([])
        for _, one in tellings:
            tally = tally.plus(self._first(one).tally())
        return found[-1].ticket_id if found else None, len(found), tally

    def _first(self, one: Telling) -> Telling:
        new = [notice for notice in one.notices if notice.id not in self._counted]
        self._counted.update(notice.id for notice in new)
        return replace(one, notices=new)


def _outcome(tally: Tally) -> Outcome:
    return {"did": dict(tally.did), "left": dict(tally.left)}
