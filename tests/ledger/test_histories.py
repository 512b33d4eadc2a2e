"""Random histories: whatever is repeated, split or interleaved, the ledger agrees with a small model."""

from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, text

from app.changing.decisions import Decisions
from app.ledger import admission, giving_back, packs, settling, submissions, tickets
from app.ledger import engine as ledger
from app.ledger.actions import Decision
from app.policy.admission import JobDraft
from app.policy.changing import Cancel, Retry, Wish
from app.policy.judging import Charge
from app.policy.lifecycle import JobState, SubmissionState
from app.policy.outcomes import (
    Answered,
    Closed,
    Finish,
    Lapsed,
    Outcome,
    Rejected,
    Transient,
    outcome_name,
)
from app.policy.settling import Prices, next_move
from app.policy.subjects import Kind, Subject
from tests.ledger.pruned import send
from tests.support.factories import a_pack, an_admission, an_answer

OUTCOMES: list[Outcome] = [
    an_answer(),
    an_answer(finish=Finish.TRUNCATED),
    Rejected(code="invalid_request_error", message="no"),
    Transient(code="overloaded_error", message="busy"),
    Closed(code="billing_error", message="no money"),
    Lapsed(),
]
TABLES = "action, event, charge, attempt, notification, pack_item, submission, pack, ticket, job"


class Histories(RuleBasedStateMachine):
    """Callers, a packer, a provider and a collector, in any order."""

    engine: ClassVar[Engine]
    accepted = Bundle("accepted")
    packed = Bundle("packed")

    def __init__(self) -> None:
        super().__init__()
        with self.engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {TABLES} CASCADE"))
        #: What was answered for each job, once and for ever.
        self.ends: dict[UUID, str] = {}
        self.tasks: dict[str, UUID] = {}
        #: What was cancelled in flight: it comes to its end, and is never sent again.
        self.unwanted: set[UUID] = set()
        self.decisions = Decisions(engine=self.engine, wake=lambda: None)

    @rule(number=st.integers(0, 6), key=st.sampled_from([None, "a", "b"]))
    def admit(self, number: int, key: str | None) -> None:
        """A message arrives, perhaps again, perhaps on a job that is there already."""
        task_id = f"{key}-{number}"
        one = an_admission(task_id, key=key, prompt=key or task_id)
        with self.engine.begin() as connection:
            (admitted,) = admission.admit(connection, [one], at=ledger.now(connection))
        assert isinstance(one.decision, JobDraft)
        job_id = one.decision.id
        self.tasks[task_id] = job_id
        assert admitted.ready == (job_id in self.ends)

    @rule(target=accepted)
    def pack_and_submit(self) -> Any:
        """Everything that waits goes to a provider, which takes it."""
        with self.engine.begin() as connection:
            now = ledger.now(connection)
            connection.execute(
                text("UPDATE job SET ready_at = admitted_at WHERE state = 'waiting'")
            )
            waiting = packs.candidates(connection, at=now)
            plans = a_pack(waiting, now=now)
            made = [packs.make(connection, one, at=now) for one in plans]
            for submission_id in made:
                assert submission_id is not None
                for to in (SubmissionState.SENDING, SubmissionState.ACCEPTED):
                    submissions.advance(
                        connection,
                        submission_id,
                        expected=(SubmissionState.PLANNED, SubmissionState.SENDING),
                        to=to,
                        provider_batch_id=f"batch-{submission_id}",
                    )
        return made[0] if made else None

    @rule(
        submission_id=accepted,
        which=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(OUTCOMES)), max_size=8),
    )
    def settle(self, submission_id: UUID | None, which: list[tuple[int, Outcome]]) -> None:
        """Some lines come in, perhaps for the second time, perhaps with another outcome."""
        if submission_id is None:
            return
        with self.engine.begin() as connection:
            now = ledger.now(connection)
            submission = submissions.find(connection, submission_id)
            assert submission is not None
            jobs = sorted(settling.open_jobs(connection, submission.pack_id))
            standings = settling.standings(connection, submission.pack_id, jobs)
            chosen = {jobs[index]: outcome for index, outcome in which if index < len(jobs)}
            moves = [
                next_move(
                    outcome,
                    standings[job_id],
                    prices=Prices(cost_nano_usd=7, sync_nano_usd=14),
                    now=now,
                    first_backoff=now - now,
                )
                for job_id, outcome in chosen.items()
            ]
            charges = [_charge(submission_id, job) for job, out in chosen.items() if _paid(out)]
            moved = settling.settle(connection, submission.pack_id, moves, charges, at=now)
            again = settling.settle(connection, submission.pack_id, moves, charges, at=now)
        assert (set(chosen), set()) == (moved, again)
        for job_id, outcome in chosen.items():
            is_last = isinstance(outcome, Answered | Rejected) or job_id in self.unwanted
            used_up = standings[job_id].counted >= 3 and not isinstance(outcome, Closed)
            if is_last or used_up:
                self.ends[job_id] = outcome_name(outcome)

    @rule(submission_id=accepted)
    def refuse_whole(self, submission_id: UUID | None) -> None:
        """The provider refuses the pack in validation and names no line: it is halved."""
        if submission_id is None:
            return
        with self.engine.begin() as connection:
            submission = submissions.find(connection, submission_id)
            assert submission is not None
            open_jobs = settling.open_jobs(connection, submission.pack_id)
            live = submission.state is SubmissionState.ACCEPTED
            giving_back.refused(
                connection,
                submission,
                to=SubmissionState.VOID,
                code="invalid_json_line",
                message="somewhere",
                at=ledger.now(connection),
            )
        if live:
            self.ends |= dict.fromkeys(open_jobs & self.unwanted, "cancelled")
            left = open_jobs - self.unwanted
            self.ends |= dict.fromkeys(left if len(left) == 1 else [], "rejected")

    @rule(target=packed)
    def pack(self) -> Any:
        """Everything that waits is packed; nothing is sent yet."""
        with self.engine.begin() as connection:
            now = ledger.now(connection)
            plans = a_pack(packs.candidates(connection, at=now), now=now)
            made = [packs.make(connection, one, at=now) for one in plans]
        return made[0] if made else None

    @rule(target=accepted, submission_id=packed)
    def send(self, submission_id: UUID | None) -> Any:
        """The provider takes a pack, unless it was taken apart, or something of it is wanted no more."""
        if submission_id is None:
            return None
        with self.engine.begin() as connection:
            found = submissions.find(connection, submission_id)
            assert found is not None
            if giving_back.holds_cancelled(connection, found.pack_id):
                return None
            return send(connection, submission_id)

    @rule(submission_id=accepted)
    def give_back(self, submission_id: UUID | None) -> None:
        """The provider takes none of it after all; what was cancelled meanwhile ends."""
        if submission_id is None:
            return
        with self.engine.begin() as connection:
            now = ledger.now(connection)
            found = submissions.find(connection, submission_id)
            assert found is not None
            open_jobs = settling.open_jobs(connection, found.pack_id)
            if giving_back.give_back(connection, found, reason="crowded", ready_at=now, at=now):
                self.ends |= dict.fromkeys(open_jobs & self.unwanted, "cancelled")

    @rule(which=st.integers(0, 9), by_task=st.booleans())
    def cancel(self, which: int, *, by_task: bool) -> None:
        """A person wants a job no more; of a task's job only where no other task waits for it."""
        names = sorted(self.tasks)
        if which >= len(names):
            return
        job_id = self.tasks[names[which]]
        if by_task and sum(job == job_id for job in self.tasks.values()) > 1:
            return
        state, is_sent = self._where(job_id)
        subject = (
            Subject(kind=Kind.TASK, id=names[which])
            if by_task
            else Subject(kind=Kind.JOB, id=str(job_id))
        )
        outcome = self._decide(Cancel(), subject)
        if state == JobState.IN_FLIGHT and is_sent:
            self.unwanted.add(job_id)
            assert {"asked_to_end": 1} == outcome["did"]
        elif job_id not in self.ends:
            self.ends[job_id] = "cancelled"
            assert {"cancelled": 1} == outcome["did"]

    @rule(which=st.integers(0, 9))
    def retry(self, which: int) -> None:
        """A person has a job tried again that failed, and that nobody paid for."""
        names = sorted(self.tasks)
        if which >= len(names):
            return
        job_id = self.tasks[names[which]]
        self.complete()
        outcome = self._decide(Retry(), Subject(kind=Kind.JOB, id=str(job_id)))
        if outcome["did"]:
            del self.ends[job_id]
            self.unwanted.discard(job_id)
            assert outcome["did"] == {"reopened": 1}

    def _decide(self, wish: Wish, subject: Subject) -> dict[str, Any]:
        decision = Decision(
            who="ops", why="a test", what="wish", subject=str(subject), request_id=uuid4()
        )
        return self.decisions.carry_out(decision, wish, subject)

    def _where(self, job_id: UUID) -> tuple[str, bool]:
        """A job's state, and whether a provider has it."""
        with self.engine.connect() as connection:
            row = connection.execute(
                text("""
                    SELECT job.state, submission.state = 'accepted' AS is_sent FROM job
                    LEFT JOIN pack_item ON pack_item.job_id = job.id AND pack_item.active
                    LEFT JOIN submission ON submission.pack_id = pack_item.pack_id
                    WHERE job.id = :id
                """),
                {"id": job_id},
            ).one()
        return row.state, bool(row.is_sent)

    @rule()
    def complete(self) -> None:
        """Ready tickets are taken and closed."""
        with self.engine.begin() as connection:
            now = ledger.now(connection)
            taken = tickets.claim(connection, at=now, lease=now - now, limit=100)
            done = [(ticket.id, ticket.generation) for ticket in taken]
            tickets.completed(connection, done, at=now)

    @invariant()
    def an_end_stays(self) -> None:
        """A job that has ended never changes again, and nothing else has ended."""
        with self.engine.connect() as connection:
            rows = connection.execute(
                text("SELECT id, state FROM job WHERE settled_at IS NOT NULL")
            ).all()
        succeeded = {job for job, end in self.ends.items() if end == Finish.ANSWERED}
        assert set(self.ends) == {row.id for row in rows}
        assert succeeded == {row.id for row in rows if row.state == JobState.SUCCEEDED}

    @invariant()
    def every_job_is_somewhere(self) -> None:
        """A job in flight has one live item; any other has none."""
        with self.engine.connect() as connection:
            wrong = connection.execute(
                text("""
                    SELECT count(*) FROM job LEFT JOIN (
                      SELECT job_id, count(*) AS live FROM pack_item WHERE active GROUP BY job_id
                    ) AS items ON items.job_id = job.id
                    WHERE coalesce(items.live, 0) <> (CASE WHEN state = 'in_flight' THEN 1 ELSE 0 END)
                """)
            ).scalar_one()
        assert 0 == wrong

    @invariant()
    def nothing_unwanted_waits(self) -> None:
        """What was cancelled is with a provider that had it before, or has ended."""
        with self.engine.connect() as connection:
            waiting = connection.execute(
                text("""
                    SELECT count(*) FROM job
                    WHERE cancel_requested_at IS NOT NULL AND state = 'waiting'
                """)
            ).scalar_one()
        assert 0 == waiting

    @invariant()
    def nothing_is_bought_twice_without_consent(self) -> None:
        """No job has two charges: whatever was decided, what was paid for was not asked for again."""
        with self.engine.connect() as connection:
            twice = connection.execute(
                text("SELECT job_id FROM charge GROUP BY job_id HAVING count(*) > 1")
            ).all()
        assert [] == list(twice)

    @invariant()
    def tickets_follow_their_jobs(self) -> None:
        """A ticket is open exactly while its job is."""
        with self.engine.connect() as connection:
            rows = connection.execute(text("SELECT task_id, job_id, state FROM ticket")).all()
        assert self.tasks == {row.task_id: row.job_id for row in rows}
        assert all((row.state == "open") == (row.job_id not in self.ends) for row in rows)


def _paid(outcome: Outcome) -> bool:
    return isinstance(outcome, Answered)


def _charge(submission_id: UUID, job_id: UUID) -> Charge:
    return Charge(
        source=f"batch:{submission_id}",
        line=str(job_id),
        provider="anthropic",
        account="default",
        job_id=job_id,
        model="claude-haiku-4-5",
        batch=True,
        usage=an_answer().usage,
        nano_usd=7,
    )


def test_any_history_agrees_with_the_model(engine: Engine) -> None:
    """
    Admission, packing, settling, refusal and completion, in any order and repeated at will.
    """
    Histories.engine = engine
    run_state_machine_as_test(
        Histories,
        settings=settings(max_examples=40, stateful_step_count=20),
    )


def test_the_tables_are_what_the_migrations_make(database_url: str) -> None:
    """
    `schema` and the migrations describe the same database.
    """
    from app.ledger import migrate  # noqa: PLC0415 - alembic is needed by this test alone

    migrate.check(database_url)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            "INSERT INTO pack_item SELECT pack_id, 99, job_id, attempt, true FROM pack_item",
            "uq_pack_item_live",
        ),
        (
            """
            INSERT INTO submission
              (id, token, pack_id, attempt, provider, account, workspace, state, created_at)
            SELECT gen_random_uuid(), 'other', pack_id, 2, provider, account, workspace, 'planned',
                   created_at
            FROM submission
            """,
            "uq_submission_live",
        ),
    ],
)
def test_the_database_itself_refuses_a_second_live_one(
    engine: Engine, statement: str, index: str
) -> None:
    """
    One live request a job and one live submission a pack hold without any lock.
    """
    with engine.begin() as connection:
        now = ledger.now(connection)
        admission.admit(connection, [an_admission()], at=now)
        (one,) = a_pack(packs.candidates(connection, at=ledger.now(connection)), now=now)
        packs.make(connection, one, at=now)

    with pytest.raises(Exception, match=index), engine.begin() as connection:
        connection.execute(text(statement))
