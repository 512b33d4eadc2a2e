"""A ledger, and what carries out a person's decisions about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from app.changing.decisions import Decisions, Outcome
from app.changing.lanes import Lanes
from app.changing.results import Results
from app.completion.telling_again import following
from app.ledger import changing, giving_back, packs, submissions
from app.ledger import engine as ledger
from app.ledger.actions import Decision
from app.policy.changing import Cancel, Wish
from app.policy.lifecycle import SubmissionState
from app.policy.subjects import Kind, Subject
from tests.support.factories import a_pack


@dataclass
class Desk:
    """Where a person decides."""

    engine: Engine
    decisions: Decisions
    lanes: Lanes
    results: Results

    def wish(
        self, wish: Wish, kind: Kind, about: object, *, request_id: UUID | None = None
    ) -> Outcome:
        """What came of a wish about one thing."""
        subject = Subject(kind=kind, id=str(about))
        decision = self.decision(str(subject), type(wish).__name__.lower(), request_id=request_id)
        return self.decisions.carry_out(decision, wish, subject)

    def cancel(self, kind: Kind, about: object) -> Outcome:
        """What came of a cancel."""
        return self.wish(Cancel(), kind, about)

    def decision(
        self, subject: str, what: str = "cancel", *, request_id: UUID | None = None
    ) -> Decision:
        """One with a reason."""
        return Decision(
            who="ops", why="a test", what=what, subject=subject, request_id=request_id or uuid4()
        )

    def resolve(self, word: str) -> Subject | None:
        """What a word names."""
        with self.engine.connect() as connection:
            return changing.resolve(connection, word)

    def send(self, *states: SubmissionState) -> list[UUID]:
        """Pack everything that waits, and move the submissions through these states."""
        with self.engine.begin() as connection:
            now = ledger.now(connection)
            plans = a_pack(packs.candidates(connection, at=now), now=now)
            made = [one for one in (packs.make(connection, p, at=now) for p in plans) if one]
            for submission_id in made:
                before = SubmissionState.PLANNED
                for state in states:
                    submissions.advance(
                        connection,
                        submission_id,
                        expected=before,
                        to=state,
                        provider_batch_id=f"batch-{submission_id}",
                    )
                    before = state
        return made

    def give_back(self, submission_id: UUID) -> None:
        """The provider takes none of it."""
        with self.engine.begin() as connection:
            now = ledger.now(connection)
            found = submissions.find(connection, submission_id)
            assert found is not None
            giving_back.give_back(
                connection, found, reason="crowded", ready_at=now, at=now, expected=found.state
            )

    def jobs(self) -> dict[str, str]:
        """States of jobs by the tasks that wait for them."""
        rows = self.rows("SELECT task_id, job.state FROM ticket JOIN job ON job.id = job_id")
        return dict(rows)

    def tickets(self) -> dict[str, str]:
        """States of tickets by their tasks."""
        return dict(self.rows("SELECT task_id, state FROM ticket"))

    def rows(self, statement: str, values: dict[str, Any] | None = None) -> Sequence[Any]:
        """What the ledger says."""
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values or {})]


@pytest.fixture
def desk(engine: Engine) -> Desk:
    """One over an empty ledger."""
    decisions = Decisions(engine=engine, wake=lambda: None)
    return Desk(
        engine,
        decisions,
        Lanes(engine=engine, decisions=decisions),
        Results(engine=engine, decisions=decisions, follows=following),
    )
