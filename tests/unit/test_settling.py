"""What follows an outcome: answers stand, retries are bounded, due times end the matter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.policy.lifecycle import Fail, GiveBack, JobState, Retry, Succeed
from app.policy.outcomes import (
    Answered,
    Cancelled,
    Closed,
    Finish,
    Lapsed,
    Missing,
    Outcome,
    Rejected,
    Transient,
    Usage,
)
from app.policy.settling import Prices, Standing, backoff, next_move

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FIRST = timedelta(seconds=30)
ANSWER = Answered(
    finish=Finish.ANSWERED,
    output="fine",
    usage=Usage(input_tokens=10, output_tokens=2),
    model="m",
    request_id="req_1",
    body=b"{}",
)
PRICES = Prices(cost_nano_usd=5, sync_nano_usd=10)
CUT = replace(ANSWER, finish=Finish.TRUNCATED)
OUTCOMES: list[Outcome] = [
    ANSWER,
    CUT,
    Rejected(code="invalid_request_error", message="no"),
    Transient(code="overloaded_error", message="busy"),
    Closed(code="billing_error", message="no money"),
    Lapsed(),
    Cancelled(),
    Missing(),
]


def a_standing(
    *,
    counted: int = 1,
    attempts_max: int = 3,
    due_in: timedelta | None = None,
    cancel_requested: bool = False,
    tries_flaws_again: bool = False,
) -> Standing:
    return Standing(
        job_id=UUID(int=1),
        attempt=counted,
        counted=counted,
        attempts_max=attempts_max,
        due_at=NOW + due_in if due_in is not None else None,
        cancel_requested=cancel_requested,
        tries_flaws_again=tries_flaws_again,
    )


standings = st.builds(
    a_standing,
    counted=st.integers(1, 6),
    attempts_max=st.integers(1, 5),
    due_in=st.none() | st.timedeltas(timedelta(hours=-2), timedelta(hours=2)),
    cancel_requested=st.booleans(),
    tries_flaws_again=st.booleans(),
)


@given(st.sampled_from(OUTCOMES), standings)
def test_a_retry_stays_within_attempts_and_due_time(outcome: Outcome, standing: Standing) -> None:
    """
    Nothing is tried again past its attempts, past its due time, or after it was cancelled.
    """
    move = next_move(outcome, standing, prices=PRICES, now=NOW, first_backoff=FIRST)

    if isinstance(move, Retry):
        assert standing.counted < standing.attempts_max
        assert standing.due_at is None or move.ready_at < standing.due_at
        assert not standing.cancel_requested
    assert standing.attempt == move.attempt


@given(standings)
def test_a_closed_account_is_nobodys_attempt(standing: Standing) -> None:
    """
    However often it has happened, no job fails of it: it waits as if it had never been sent, unless nobody
    wants it any more.
    """
    closed = Closed(code="billing_error", message="no money")
    move = next_move(closed, standing, prices=PRICES, now=NOW, first_backoff=FIRST)

    if standing.cancel_requested:
        assert isinstance(move, Fail)
        assert JobState.CANCELLED == move.state
    elif standing.due_at is not None and standing.due_at <= NOW:
        assert isinstance(move, Fail)
        assert JobState.EXPIRED == move.state
    else:
        assert isinstance(move, GiveBack)
        assert (NOW, "billing_error") == (move.ready_at, move.code)


@given(standings)
def test_a_whole_answer_always_succeeds(standing: Standing) -> None:
    """
    What was paid for is kept, however late or unwanted it has become.
    """
    move = next_move(ANSWER, standing, prices=PRICES, now=NOW, first_backoff=FIRST)

    assert isinstance(move, Succeed)
    assert (5, 10) == (move.cost_nano_usd, move.sync_cost_nano_usd)


@given(standings)
def test_a_flawed_answer_is_asked_for_again_or_kept(standing: Standing) -> None:
    """
    Only the policy `retry` pays again; what was paid for last stays with the failed job.
    """
    move = next_move(CUT, standing, prices=PRICES, now=NOW, first_backoff=FIRST)

    if isinstance(move, Retry):
        assert standing.tries_flaws_again
        assert "truncated" == move.code
        return
    assert isinstance(move, Fail)
    assert (JobState.FAILED, "truncated", CUT, 5, 10) == (
        move.state,
        move.code,
        move.answer,
        move.cost_nano_usd,
        move.sync_cost_nano_usd,
    )


def test_the_policy_retry_asks_again() -> None:
    """
    The second of three attempts is not the last.
    """
    again = a_standing(counted=2, tries_flaws_again=True)
    last = a_standing(counted=3, tries_flaws_again=True)
    moves = [
        next_move(CUT, standing, prices=PRICES, now=NOW, first_backoff=FIRST)
        for standing in (again, last)
    ]

    assert [Retry, Fail] == [type(move) for move in moves]
    assert isinstance(moves[1], Fail)
    assert moves[1].message.endswith("(after 3 attempts)")


def test_a_rejected_request_is_never_tried_again() -> None:
    """
    A request that must be mended fails at its first attempt, with the provider's words.
    """
    move = next_move(
        Rejected(code="invalid_request_error", message="max_tokens too large", request_id="req_9"),
        a_standing(),
        prices=PRICES,
        now=NOW,
        first_backoff=FIRST,
    )

    assert isinstance(move, Fail)
    assert (JobState.FAILED, "invalid_request_error", False, "req_9") == (
        move.state,
        move.code,
        move.retryable,
        move.request_id,
    )


def test_the_last_attempt_says_how_many_there_were() -> None:
    """
    A transient error on the last attempt fails the job and names the count.
    """
    move = next_move(
        Transient(code="overloaded_error", message="busy"),
        a_standing(counted=3),
        prices=PRICES,
        now=NOW,
        first_backoff=FIRST,
    )

    assert isinstance(move, Fail)
    assert "busy (after 3 attempts)" == move.message


def test_a_job_whose_due_time_comes_before_its_retry_expires() -> None:
    """
    Waiting longer than the due time allows is expiry, not failure.
    """
    move = next_move(
        Lapsed(),
        a_standing(due_in=timedelta(seconds=10)),
        prices=PRICES,
        now=NOW,
        first_backoff=FIRST,
    )

    assert isinstance(move, Fail)
    assert JobState.EXPIRED == move.state


@given(st.integers(1, 200))
def test_backoff_doubles_and_is_bounded(counted: int) -> None:
    """
    The wait grows with each attempt and never passes a quarter of an hour.
    """
    assert FIRST <= backoff(counted, FIRST) <= timedelta(minutes=15)
