"""What a wish does to a job, whatever the job is like."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy.changing import (
    Cancel,
    Deed,
    Due,
    Expedite,
    JobNow,
    Left,
    Retry,
    Tally,
    Wish,
    may_be_paid,
    require_possible,
    step,
)
from app.policy.lifecycle import ENDED, JOB_MOVES, JobState
from app.policy.subjects import Kind, Subject, filtered
from tests.support.factories import uuid
from unhurried.contract import Tier

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MOMENTS = st.none() | st.integers(-600, 600).map(lambda minutes: NOW + timedelta(minutes=minutes))
JOBS = st.builds(
    JobNow,
    id=st.just(uuid(1)),
    attempt=st.integers(0, 5),
    state=st.sampled_from(JobState),
    tier=st.sampled_from(Tier),
    due_at=MOMENTS,
    cancel_requested=st.booleans(),
    others_wait=st.booleans(),
    outcomes=st.frozensets(
        st.sampled_from(["lost", "rejected", "refused", "transient", "missing"])
    ),
    is_answered=st.booleans(),
    is_being_told=st.booleans(),
)
WISHES: st.SearchStrategy[Wish] = st.one_of(
    st.just(Cancel()),
    st.just(Expedite()),
    st.builds(Due, at=MOMENTS),
    st.builds(Retry, even_if_paid=st.booleans(), due_at=MOMENTS),
)


def a_job(state: JobState = JobState.WAITING, **fields: object) -> JobNow:
    """A batch job that nobody else waits for."""
    known: dict[str, object] = {"id": uuid(1), "attempt": 1, "tier": Tier.BATCH, "due_at": None}
    return JobNow(state=state, **{**known, **fields})  # type: ignore[arg-type]  # named by the test


@given(WISHES, JOBS)
def test_nothing_is_done_to_what_has_ended_but_by_a_retry(wish: Wish, job: JobNow) -> None:
    """
    An end stays, unless a person has it tried again; and nothing else is tried again.
    """
    found = step(wish, job, now=NOW)

    if job.state in ENDED and isinstance(found, Deed):
        assert (Deed.REOPENED, True) == (found, isinstance(wish, Retry))
        assert (job.state, JobState.WAITING) in JOB_MOVES
    if found is Deed.REOPENED:
        assert job.state in ENDED


@given(job=JOBS, consent=st.booleans(), due_at=MOMENTS)
def test_nothing_is_bought_twice_without_consent(
    *, job: JobNow, consent: bool, due_at: datetime | None
) -> None:
    """
    What was billed, or may have been, is asked for again only where a person says so.
    """
    found = step(Retry(even_if_paid=consent, due_at=due_at), job, now=NOW)

    assert found is not Deed.REOPENED or consent or not may_be_paid(job)


@given(JOBS)
def test_what_is_with_a_provider_is_never_dropped_or_moved(job: JobNow) -> None:
    """
    It may be answered and paid for at this moment: it is asked to end, and comes to its end.
    """
    flying = replace(job, state=JobState.IN_FLIGHT)

    assert step(Cancel(), flying, now=NOW) in (Deed.ASKED_TO_END, Deed.LET_GO)
    assert step(Expedite(), flying, now=NOW) in (Left.WITH_PROVIDER, Left.AS_FAST)


@given(JOBS)
def test_who_else_waits_is_not_harmed(job: JobNow) -> None:
    """
    One task's wish neither ends the job of another, nor makes it expire sooner.
    """
    shared = replace(job, others_wait=True)

    assert step(Cancel(), shared, now=NOW) in (Deed.LET_GO, Left.ENDED)
    sooner = NOW if job.due_at is None else job.due_at - timedelta(seconds=1)
    assert step(Due(at=sooner), shared, now=NOW) in (Left.OTHERS, Left.ENDED)


@given(st.lists(JOBS, max_size=20), WISHES)
def test_a_tally_counts_every_job_once(jobs: list[JobNow], wish: Wish) -> None:
    """
    Touched and left together are all.
    """
    steps = [step(wish, job, now=NOW) for job in jobs]
    halves = Tally.of(steps[:7]).plus(Tally.of(steps[7:]))

    assert Tally.of(steps) == halves
    assert len(jobs) == halves.touched + sum(halves.left.values())


@pytest.mark.parametrize(
    ("job", "wish", "expected"),
    [
        (a_job(), Cancel(), Deed.CANCELLED),
        (a_job(JobState.SUCCEEDED), Cancel(), Left.ENDED),
        (a_job(), Expedite(), Deed.EXPEDITED),
        (a_job(tier=Tier.NEAR_REAL_TIME), Expedite(), Left.AS_FAST),
        (a_job(), Due(at=None), Deed.DUE_CHANGED),
        (a_job(JobState.FAILED), Retry(), Deed.REOPENED),
        (a_job(JobState.FAILED, tier=Tier.SYNC), Retry(), Left.DIRECT),
        (a_job(JobState.EXPIRED, due_at=NOW), Retry(), Left.TOO_LATE),
        (
            a_job(JobState.EXPIRED, due_at=NOW),
            Retry(due_at=NOW + timedelta(hours=1)),
            Deed.REOPENED,
        ),
        (a_job(JobState.FAILED, outcomes=frozenset({"lost"})), Retry(), Left.PERHAPS_PAID),
        (a_job(JobState.FAILED, is_answered=True), Retry(even_if_paid=True), Deed.REOPENED),
        (a_job(JobState.FAILED, is_being_told=True), Retry(), Left.BEING_TOLD),
        (a_job(JobState.CANCELLED), Retry(even_if_paid=True), Left.CANCELLED),
        (a_job(JobState.SUCCEEDED), Retry(even_if_paid=True), Left.ANSWERED),
    ],
)
def test_each_wish_by_where_the_job_is(job: JobNow, wish: Wish, expected: object) -> None:
    """
    The table of docs/lifecycle.md.
    """
    assert expected == step(wish, job, now=NOW)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Expedite(to=Tier.SYNC), "expedited to near-real-time, not sync"),
        (Expedite(to=Tier.BATCH), "not batch"),
        (Due(at=NOW), "would end the jobs: cancel them"),
        (Retry(due_at=NOW - timedelta(hours=1)), "would end the jobs"),
    ],
)
def test_what_can_be_granted_to_no_job_is_refused_at_once(wish: Wish, words: str) -> None:
    """
    In words that say what to do instead.
    """
    with pytest.raises(ValueError, match=words):
        require_possible(wish, now=NOW)


def test_a_filter_never_lets_everything_through() -> None:
    """
    Something is named, and by a name that is known.
    """
    with pytest.raises(ValueError, match="at least one filter"):
        filtered({"workload": None})
    with pytest.raises(ValueError, match="filtered by tenant"):
        filtered({"tenant": "a"})
    assert "filter:account=default,model=m" == str(filtered({"model": "m", "account": "default"}))
    assert "task:t-1" == str(Subject(kind=Kind.TASK, id="t-1"))
