"""Counters and histograms: as many as the ledger has, once, and never fewer."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from app.ledger import admission, expiring, measures, moves, packs, pick_ups, settling, submissions
from app.ledger import engine as ledger
from app.observe.catalogue import HOURS, JOBS, SECONDS
from app.policy.judging import Charge
from app.policy.lifecycle import GiveBack, SubmissionState
from app.policy.outcomes import Usage
from tests.support import answering
from tests.support.factories import NOW, a_pack, an_admission
from unhurried.readers import Declaration, PickUp


def counted(engine: Engine, name: str) -> dict[tuple[str, ...], int]:
    """Counts of a name by labels, the model last."""
    found: dict[tuple[str, ...], int] = {}
    with engine.connect() as connection:
        for one in measures.measured(connection):
            if one.name == name:
                labels = (*one.labels, one.model) if one.model else one.labels
                found[labels] = found.get(labels, 0) + one.count
    return found


def bounds(engine: Engine, name: str) -> dict[float, int]:
    with engine.connect() as connection:
        return {one.le: one.count for one in measures.measured(connection) if one.name == name}


def totals(engine: Engine, name: str) -> dict[tuple[str, ...], float]:
    with engine.connect() as connection:
        return {
            (*one.labels, one.model): one.total
            for one in measures.measured(connection)
            if one.name == name
        }


def fold(engine: Engine, **options: Any) -> int:
    with engine.begin() as connection:
        return measures.fold(connection, **options)


def a_batch(engine: Engine, count: int) -> tuple[Any, list[Any]]:
    """A submission of jobs that are packed, and the jobs."""
    ids = answering.admit(engine, [an_admission(f"task-{n}") for n in range(count)])
    with engine.begin() as connection:
        later = NOW + timedelta(minutes=10)
        (plan,) = a_pack(packs.candidates(connection, at=later), now=later)
        submission_id = packs.make(connection, plan, at=later)
        assert submission_id is not None
        return submissions.find(connection, submission_id), ids


def accept(connection: Connection, submission_id: Any) -> None:
    at = NOW + timedelta(minutes=11)
    moving = (SubmissionState.SENDING, SubmissionState.ACCEPTED)
    submissions.advance(
        connection, submission_id, expected=SubmissionState.PLANNED, to=moving[0], sent_at=at
    )
    submissions.advance(
        connection,
        submission_id,
        expected=moving[0],
        to=moving[1],
        accepted_at=at,
        provider_batch_id="batch-1",
    )


@pytest.fixture
def watched(engine: Engine) -> Iterator[Engine]:
    yield engine
    before = sums(engine)
    while fold(engine, limit=3):
        pass
    after = sums(engine)
    models = {key for key in after if key[2]}
    assert {key: value for key, value in after.items() if key not in models} == {
        key: value for key, value in before.items() if key not in models
    }
    assert all(after[key] >= value for key, value in before.items())


def sums(engine: Engine) -> dict[tuple[Any, ...], tuple[int, float]]:
    with engine.connect() as connection:
        return {
            (one.name, one.labels, one.model, one.le): (one.count, one.total)
            for one in measures.measured(connection)
        }


def test_an_answered_job_is_counted_at_each_step(watched: Engine) -> None:
    """
    Queued, opened, ended, waited and took this long: once each, by its tier.
    """
    ids = answering.admit(watched, [an_admission("task-1"), an_admission("task-2")])
    answering.answer(watched, ids)
    fold(watched)

    assert {("batch",): 2} == counted(watched, "jobs_queued")
    assert {("batch",): 2} == counted(watched, "jobs_opened")
    assert {("batch", "succeeded"): 2} == counted(watched, "jobs_ended")
    assert {("batch",): 2} == counted(watched, "job_wait_seconds")
    assert {("batch",): 2} == counted(watched, "job_end_to_end_seconds")
    assert {("anthropic", "answered", "claude-haiku-4-5"): 2} == counted(watched, "batch_attempts")
    assert {("anthropic", "batch", "claude-haiku-4-5"): 14.0} == totals(watched, "savings_usd")


def test_the_same_message_twice_is_queued_once(watched: Engine) -> None:
    """
    A job that is there already is not counted again.
    """
    for _ in range(2):
        answering.admit(watched, [an_admission("task-1", key="k")])

    assert {("batch",): 1} == counted(watched, "jobs_queued")


def test_a_transaction_that_is_rolled_back_counts_nothing(watched: Engine) -> None:
    """
    A count is where its cause is.
    """
    with watched.connect() as connection:
        admission.admit(connection, [an_admission("task-1")], at=NOW)
        connection.rollback()

    assert {} == counted(watched, "jobs_queued")


def test_a_job_that_expires_while_it_waits_has_no_attempt(watched: Engine) -> None:
    """
    It ended, and nothing ran.
    """
    answering.admit(watched, [an_admission("task-1", deadline_s=60)])
    with watched.begin() as connection:
        expiring.expire(connection, at=NOW + timedelta(hours=1))
    fold(watched)

    assert {("batch", "expired"): 1} == counted(watched, "jobs_ended")
    assert {} == counted(watched, "batch_attempts")


def test_a_pack_that_comes_back_is_queued_again(watched: Engine) -> None:
    """
    Its attempts end as given back, and the same jobs wait once more.
    """
    _, ids = a_batch(watched, 2)
    with watched.begin() as connection:
        back = [GiveBack(job_id=job_id, attempt=1, ready_at=NOW) for job_id in ids]
        moves.apply(connection, back, at=ledger.now(connection))
    fold(watched)

    assert {("batch",): 4} == counted(watched, "jobs_queued")
    assert {("anthropic", "given_back", "claude-haiku-4-5"): 2} == counted(
        watched, "batch_attempts"
    )


def test_a_batch_is_measured_from_filling_to_collecting(watched: Engine) -> None:
    """
    Ten minutes to fill, two hours at the provider, one minute until it was brought in.
    """
    submission, _ = a_batch(watched, 3)
    with watched.begin() as connection:
        accept(connection, submission.id)
        ended = NOW + timedelta(minutes=131)
        submissions.note(connection, submission.id, ended_at=ended)
        submissions.close(connection, submission, at=ended + timedelta(minutes=1))
    fold(watched)

    model = "claude-haiku-4-5"
    assert {("anthropic", "lingered", model): 1} == counted(watched, "batches_submitted")
    assert {("anthropic", "collected", model): 1} == counted(watched, "batches_ended")
    assert {10.0: 1} == bounds(watched, "batch_size_jobs")
    assert {900.0: 1} == bounds(watched, "batch_fill_duration_seconds")
    assert {7200.0: 1} == bounds(watched, "batch_processing_duration_seconds")
    assert {60.0: 1} == bounds(watched, "batch_collect_duration_seconds")


def test_a_batch_that_never_said_when_it_ended_is_counted_and_not_timed(watched: Engine) -> None:
    """
    No figure stands in the way of what it counts.
    """
    submission, _ = a_batch(watched, 1)
    with watched.begin() as connection:
        accept(connection, submission.id)
        assert submissions.close(connection, submission, at=NOW + timedelta(hours=1))
    fold(watched)

    assert {("anthropic", "collected", "claude-haiku-4-5"): 1} == counted(watched, "batches_ended")
    assert {} == bounds(watched, "batch_processing_duration_seconds")


def charge(line: str, *, nano_usd: int | None, model: str = "claude-haiku-4-5") -> Charge:
    return Charge(
        source="batch:b",
        line=line,
        provider="anthropic",
        account="default",
        job_id=None,
        model=model,
        batch=True,
        usage=Usage(
            input_tokens=100, output_tokens=20, service_tier='"input_tokens": 999 \0 \ud800'
        ),
        nano_usd=nano_usd,
    )


def test_money_is_counted_as_it_is_booked(watched: Engine) -> None:
    """
    A line that is read twice costs once; an unknown price is a line without one; a provider's own words
    beside the counts change nothing.
    """
    for _ in range(2):
        with watched.begin() as connection:
            lines = [charge("1", nano_usd=5), charge("2", nano_usd=None)]
            settling.book(connection, lines, at=NOW)
    fold(watched)

    model = "claude-haiku-4-5"
    assert {("anthropic", "batch", model): 5.0} == totals(watched, "cost_usd")
    assert {("anthropic", "batch", model): 1} == counted(watched, "lines_unpriced")
    assert 200.0 == totals(watched, "tokens")["anthropic", "batch", "input", model]
    assert 40.0 == totals(watched, "tokens")["anthropic", "batch", "output", model]


def test_only_fifty_models_have_figures_of_their_own(watched: Engine) -> None:
    """
    The first that came; whatever comes later, or is no name, is `other`, and nothing is lost.
    """
    for start in (0, 40):
        with watched.begin() as connection:
            lines = [
                charge(str(n), nano_usd=1, model=f"m-{n:02}") for n in range(start, start + 40)
            ]
            settling.book(connection, lines, at=NOW)
        fold(watched)
    with watched.begin() as connection:
        settling.book(connection, [charge("x", nano_usd=1, model="sk key\n")], at=NOW)
    fold(watched)
    found = totals(watched, "cost_usd")

    assert 51 == len(found)
    assert 81.0 == sum(found.values())
    assert 31.0 == found["anthropic", "batch", "other"]


def test_pruning_takes_nothing_from_a_counter(watched: Engine) -> None:
    """
    What is deleted has been counted.
    """
    answering.admit(watched, [an_admission("task-1")])
    with watched.begin() as connection:
        connection.execute(text("TRUNCATE job CASCADE"))

    assert {("batch",): 1} == counted(watched, "jobs_queued")


def test_a_changed_tier_is_an_escalation(watched: Engine) -> None:
    """
    The job enters the queue of its new tier.
    """
    answering.admit(watched, [an_admission("task-1")])
    with watched.begin() as connection:
        connection.execute(text("UPDATE job SET tier = 'near-real-time'"))

    assert {("batch", "near-real-time"): 1} == counted(watched, "jobs_escalated")
    assert {("batch",): 1, ("near-real-time",): 1} == counted(watched, "jobs_queued")


def test_a_result_is_picked_up_once_by_each_reader(watched: Engine) -> None:
    """
    A second read of the same reader is none.
    """
    ids = answering.admit(watched, [an_admission("task-1")])
    answering.answer(watched, ids)
    with watched.begin() as connection:
        result_id = connection.execute(text("SELECT result_id FROM job")).scalar_one()
        at = ledger.now(connection) + timedelta(seconds=90)
        notes = [PickUp(result_ids=(result_id,), picked_up_at=at)] * 2
        page = Declaration(name="page", workload="notes", max_staleness_s=60)
        notes.append(PickUp(consumer=page, result_ids=(result_id,), picked_up_at=at))
        pick_ups.record(connection, notes, at=at)

    assert {("batch",): 2} == counted(watched, "result_pick_up_seconds")
    assert {300.0: 2} == bounds(watched, "result_pick_up_seconds")


@pytest.mark.parametrize(
    ("value", "le"), [(0, 1), (1, 1), (1.5, 2), (2, 2), (4, 4), (4.5, float("inf"))]
)
def test_an_observation_counts_under_the_smallest_bound_that_holds_it(
    engine: Engine, value: float, le: float
) -> None:
    """
    A bound holds what equals it.
    """
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT measure_le('{1,2,4}', :value)"), {"value": value}
        ).scalar_one()

    assert le == found


def test_the_bounds_are_those_that_are_shown(engine: Engine) -> None:
    """
    Each bound of the catalogue is one of the database's, and it has no other.
    """
    for scale, known in (("hours", HOURS), ("seconds", SECONDS), ("jobs", JOBS)):
        tried = sorted({*known, *(bound + 0.01 for bound in known), 0})
        with engine.connect() as connection:
            found = {
                connection.execute(text(f"SELECT {scale}_le(:it)"), {"it": it}).scalar_one()
                for it in tried
            }
        assert {*known, float("inf")} == found


def test_two_that_fold_count_once(engine: Engine) -> None:
    """
    The second leaves it to the first.
    """
    answering.admit(engine, [an_admission("task-1")])
    with engine.begin() as first, engine.begin() as second:
        assert measures.fold(first) > 0
        assert 0 == measures.fold(second)

    assert {("batch",): 1} == counted(engine, "jobs_queued")


def test_what_no_row_stands_for_is_added(watched: Engine) -> None:
    """
    Requests to providers, as processes counted them.
    """
    key = ("provider_requests", ("openai", "poll", "reported"))
    for _ in range(2):
        with watched.begin() as connection:
            measures.add(connection, {key: 3})

    assert {("openai", "poll", "reported"): 6} == counted(watched, "provider_requests")
