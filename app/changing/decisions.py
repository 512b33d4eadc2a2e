"""Carry out what a person has decided, once: recorded first, done page by page, closed with what came of it.

Killed in between, what was done stays done and the action stays open: the same request goes on with it, and
another one with the same wish does the rest. No page is done twice with another effect.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from app.changing.steady import steadily
from app.ledger import actions, changing, locks, runs, submissions
from app.ledger import engine as ledger
from app.ledger.actions import Decision
from app.observe.log import tell
from app.policy.changing import (
    Cancel,
    Deed,
    Expedite,
    JobNow,
    Step,
    Tally,
    Wish,
    require_possible,
    step,
)
from app.policy.subjects import Kind, Subject

Outcome = dict[str, Any]


class UnderWayError(Exception):
    """Another process is carrying out the same request just now."""


@dataclass(frozen=True, slots=True)
class _Wished:
    """A wish under its decision, which was recorded `at` a moment."""

    decision: Decision
    wish: Wish
    subject: Subject
    at: datetime


class Decisions:
    """Carries out wishes about jobs. Safe to repeat and to kill anywhere."""

    def __init__(self, *, engine: Engine, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._wake = wake

    def carry_out(self, decision: Decision, wish: Wish, subject: Subject) -> Outcome:
        """Grant a wish to every job of a subject; how many were touched, and why others were left.

        Raises ValueError for a wish that can be granted to none, UnderWayError, and
        AnotherDecisionError for a request id that stands for something else.
        """
        with self._engine.begin() as connection:
            require_possible(wish, now=ledger.now(connection))
        return self.record(decision, lambda at: self._grant(_Wished(decision, wish, subject, at)))

    def record(self, decision: Decision, do: Callable[[datetime], Outcome]) -> Outcome:
        """Do something under a decision, or say what came of it where it was done before."""
        with locks.only_one(self._engine, actions.lock(decision.request_id)) as mine:
            if not mine:
                raise UnderWayError(f"request {decision.request_id} is being carried out")
            with self._engine.begin() as connection:
                action = actions.note(connection, decision, at=ledger.now(connection))
            if action.outcome is not None:
                return {**action.outcome, "repeated": True}
            outcome = do(action.at)
            with self._engine.begin() as connection:
                now = ledger.now(connection)
                actions.close(connection, decision.request_id, outcome, at=now)
        self._wake()
        # Not the subject: a key is the caller's own word.
        tell(
            "action_taken",
            what=decision.what,
            who=decision.who,
            request_id=str(decision.request_id),
            did=outcome.get("did"),
            left_count=sum(outcome.get("left", {}).values()),
        )
        return outcome

    def preview(self, wish: Wish, subject: Subject) -> Tally:
        """What a wish would do now. Nothing is done."""
        tally, after = Tally.of([]), None
        while True:
            with self._engine.connect() as connection:
                now = ledger.now(connection)
                page = changing.page(connection, subject, wish, after=after, hold=False)
            if not page:
                return tally
            tally = tally.plus(Tally.of([step(wish, job, now=now) for job in page]))
            after = page[-1].id

    def _grant(self, wished: _Wished) -> Outcome:
        wish, subject = wished.wish, wished.subject
        if isinstance(wish, Cancel | Expedite):
            # Until it is sent a pack is ours alone: its jobs wait, and can be had again.
            steadily(
                self._engine, lambda connection, now: changing.unpack(connection, subject, at=now)
            )
        if isinstance(wish, Cancel) and subject.kind is Kind.RUN:
            tally = self._cancel_run(UUID(subject.id))
        else:
            tally = self._each_page(wished)
        outcome: Outcome = {"did": dict(tally.did), "left": dict(tally.left)}
        if isinstance(wish, Cancel):
            outcome["batches_to_end"] = steadily(
                self._engine, lambda connection, now: submissions.note_unwanted(connection, at=now)
            )
        return outcome

    def _cancel_run(self, run_id: UUID) -> Tally:
        """Parts that arrive later are dropped as well, so a run is more than its jobs."""
        dropped, asked = steadily(
            self._engine, lambda connection, now: runs.cancel(connection, run_id, at=now)
        )
        did = {Deed.CANCELLED: dropped, Deed.ASKED_TO_END: asked}
        return Tally(did=Counter({str(deed): n for deed, n in did.items() if n}), left=Counter())

    def _each_page(self, wished: _Wished) -> Tally:
        tally, after = Tally.of([]), None
        while True:
            last, steps = steadily(self._engine, partial(_page, wished, after))
            if last is None:
                return tally
            tally, after = tally.plus(Tally.of(steps)), last


def _page(
    wished: _Wished, after: UUID | None, connection: Connection, now: datetime
) -> tuple[UUID | None, list[Step]]:
    """Decide and do one page; its last job and what was done to each."""
    wish, subject = wished.wish, wished.subject
    jobs = changing.page(connection, subject, wish, after=after, hold=True)
    steps = [step(wish, job, now=now) for job in jobs]
    deeds: dict[Deed, list[JobNow]] = defaultdict(list)
    for job, one in zip(jobs, steps, strict=True):
        if isinstance(one, Deed):
            deeds[one].append(job)
    changing.do(
        connection,
        deeds,
        wish,
        subject,
        why=wished.decision.why,
        decided_at=wished.at,
        at=now,
    )
    return jobs[-1].id if jobs else None, steps
