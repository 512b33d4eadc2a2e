"""Look things up for a person: lists, and one thing's timeline. Changes nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.ledger import actions, inside, listing, naming, run_story, tickets, timeline, unread
from app.ledger import engine as ledger
from app.ledger.actions import Action
from app.ledger.inside import Failed, Inside
from app.ledger.listing import JobFilter, JobLine
from app.ledger.naming import Candidate
from app.ledger.timeline import Timeline
from app.ledger.unread import UnreadResult
from app.policy.subjects import Kind, Subject

#: A person waits so long for a list of a large ledger.
_STATEMENT_TIMEOUT_MS: Final = 15_000


#: Of a batch's failed lines, the first of all.
_FAILED: Final = Failed()

#: What was decided about one thing, the newest.
ACTIONS_MAX: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchStory:
    """Everything about one batch, as of a moment."""

    at: datetime
    timeline: Timeline
    inside: Inside
    actions: Sequence[Action]


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """Everything about one job or one run, as of a moment."""

    at: datetime
    timeline: Timeline
    actions: Sequence[Action]


#: How each kind of thing is told.
_STORIES: Final = {
    "job": timeline.of_job,
    "batch": timeline.of_batch,
    "run": run_story.of_run,
}


class LedgerAwayError(Exception):
    """The ledger does not answer, or not in time."""

    def __init__(self, error: SQLAlchemyError) -> None:
        super().__init__(f"the ledger cannot be read: {ledger.cause(error)}")


class Archive:
    """Reads. Everything here raises LedgerAwayError where the ledger does not answer."""

    def __init__(self, *, engine: Engine, result_lifetime: timedelta) -> None:
        self._engine = engine
        self._result_lifetime = result_lifetime

    def jobs(self, wanted: JobFilter, *, limit: int) -> tuple[Sequence[JobLine], datetime]:
        """Jobs that fit, and when that was."""
        with self._reading() as connection:
            return listing.jobs(connection, wanted, limit=limit), ledger.now(connection)

    def unread(self, *, limit: int) -> tuple[Sequence[UnreadResult], datetime]:
        """Results that nobody has picked up, and when that was."""
        with self._reading() as connection:
            now = ledger.now(connection)
            found = unread.listed(connection, at=now, lifetime=self._result_lifetime, limit=limit)
            return found, now

    def named(self, name: str) -> Timeline | list[Candidate]:
        """The timeline of what a name stands for; candidates where it stands for none or for several."""
        with self._reading() as connection:
            found = naming.find(connection, name)
            if len(found) != 1:
                return found
            return _STORIES[found[0].kind](connection, found[0].id)

    def batch(self, name: str, failed: Failed = _FAILED) -> BatchStory | None:
        """A batch by our id, the provider's, or its token, with what is in it; None where there is none.

        `failed` says which of its failed lines are told.
        """
        with self._reading() as connection:
            found = [one for one in naming.find(connection, name) if one.kind == "batch"]
            if not found:
                return None
            submission_id = found[0].id
            subject = Subject(kind=Kind.BATCH, id=str(submission_id))
            return BatchStory(
                at=ledger.now(connection),
                timeline=timeline.of_batch(connection, submission_id),
                inside=inside.read(connection, submission_id, failed),
                actions=actions.about(connection, str(subject), limit=ACTIONS_MAX),
            )

    def action(self, request_id: UUID) -> Action | None:
        """What came of a request; None where there is none."""
        with self._reading() as connection:
            return actions.find(connection, request_id)

    def job(self, name: str) -> Story | list[Candidate]:
        """A job by any of its names, with what was decided about it; candidates where several, or none, fit."""
        with self._reading() as connection:
            found = [one for one in naming.find(connection, name) if one.kind == "job"]
            if len(found) != 1:
                return found
            job_id = found[0].id
            names = [Subject(kind=Kind.JOB, id=str(job_id))]
            names += [
                Subject(kind=Kind.TASK, id=task_id)
                for task_id in tickets.tasks_of(connection, job_id, limit=ACTIONS_MAX)
            ]
            return Story(
                at=ledger.now(connection),
                timeline=timeline.of_job(connection, job_id),
                actions=actions.about(connection, *map(str, names), limit=ACTIONS_MAX),
            )

    def run(self, name: str) -> Story | None:
        """A run by its id, with what was decided about it; None where there is none."""
        with self._reading() as connection:
            found = [one for one in naming.find(connection, name) if one.kind == "run"]
            if not found:
                return None
            subject = Subject(kind=Kind.RUN, id=str(found[0].id))
            return Story(
                at=ledger.now(connection),
                timeline=run_story.of_run(connection, found[0].id),
                actions=actions.about(connection, str(subject), limit=ACTIONS_MAX),
            )

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect().execution_options(postgresql_readonly=True) as connection:
                ledger.bound(connection, timeout_ms=_STATEMENT_TIMEOUT_MS)
                yield connection
        except SQLAlchemyError as error:
            raise LedgerAwayError(error) from error
