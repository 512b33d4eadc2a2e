"""What becomes of a job when one of its attempts has ended. Pure: the same outcome, the same step.

A pack never fails as a whole because of one line.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never
from uuid import UUID

from app.policy.flaws import Flaw, flaw
from app.policy.lifecycle import Fail, GiveBack, JobState, Move, Retry, Succeed
from app.policy.outcomes import (
    Answered,
    Cancelled,
    Closed,
    Lapsed,
    Missing,
    Outcome,
    Rejected,
    Transient,
    outcome_name,
)

_BACKOFF_MAX: Final = timedelta(minutes=15)
_DOUBLINGS_MAX: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What the decision needs to know of the job."""

    job_id: UUID
    #: The attempt that has ended.
    attempt: int
    #: How many attempts before and with it count against `attempts_max`.
    counted: int
    attempts_max: int
    due_at: datetime | None
    cancel_requested: bool = False
    #: The failure policy is `retry`: an answer that is not what was asked for is asked for again.
    tries_flaws_again: bool = False
    #: The JSON schema that the answer must have.
    answer_schema: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """What an answer cost, and what it would have cost at once; None where that is unknown."""

    cost_nano_usd: int | None
    sync_nano_usd: int | None


def next_move(
    outcome: Outcome,
    standing: Standing,
    *,
    prices: Prices,
    now: datetime,
    first_backoff: timedelta,
) -> Move:
    """The move that follows an outcome. A whole answer always succeeds: it has been paid for."""
    match outcome:
        case Answered():
            return _answered(outcome, standing, prices, now, first_backoff)
        case Rejected():
            return _fail(standing, outcome, outcome.code, outcome.message, retryable=False)
        case Cancelled() if standing.cancel_requested:
            return _fail(
                standing,
                outcome,
                "cancelled",
                "cancelled before it was answered",
                retryable=True,
                state=JobState.CANCELLED,
            )
        case Closed():
            return _unwanted(outcome, standing, ready_at=now) or GiveBack(
                job_id=standing.job_id, attempt=standing.attempt, ready_at=now, code=outcome.code
            )
        case Transient() | Lapsed() | Cancelled() | Missing():
            return _again(outcome, standing, now, first_backoff)
        case _:
            assert_never(outcome)


def backoff(counted: int, first: timedelta) -> timedelta:
    """How long to wait after attempt number `counted` (the first is 1): doubling, bounded."""
    doublings = min(max(counted - 1, 0), _DOUBLINGS_MAX)
    return min(first * (2.0**doublings), max(_BACKOFF_MAX, first))


def _answered(
    answer: Answered, standing: Standing, prices: Prices, now: datetime, first_backoff: timedelta
) -> Move:
    wrong = flaw(answer)
    if wrong is None:
        return Succeed(
            job_id=standing.job_id,
            attempt=standing.attempt,
            answer=answer,
            cost_nano_usd=prices.cost_nano_usd,
            sync_cost_nano_usd=prices.sync_nano_usd,
        )
    ready_at = now + backoff(standing.counted, first_backoff)
    if _may_try_again(standing, ready_at):
        return Retry(
            job_id=standing.job_id,
            attempt=standing.attempt,
            outcome=outcome_name(answer),
            code=wrong.code,
            ready_at=ready_at,
        )
    return _flawed(answer, wrong, standing, prices)


def _may_try_again(standing: Standing, ready_at: datetime) -> bool:
    in_time = standing.due_at is None or ready_at < standing.due_at
    left = standing.counted < standing.attempts_max
    return standing.tries_flaws_again and left and in_time and not standing.cancel_requested


def _flawed(answer: Answered, wrong: Flaw, standing: Standing, prices: Prices) -> Fail:
    times = f" (after {standing.counted} attempts)" if standing.counted > 1 else ""
    return Fail(
        job_id=standing.job_id,
        attempt=standing.attempt,
        state=JobState.FAILED,
        outcome=outcome_name(answer),
        code=wrong.code,
        message=f"{wrong.message}{times}",
        retryable=wrong.retryable,
        request_id=answer.request_id,
        answer=answer,
        cost_nano_usd=prices.cost_nano_usd,
        sync_cost_nano_usd=prices.sync_nano_usd,
    )


def _again(outcome: Outcome, standing: Standing, now: datetime, first_backoff: timedelta) -> Move:
    ready_at = now + backoff(standing.counted, first_backoff)
    unwanted = _unwanted(outcome, standing, ready_at=ready_at)
    if unwanted is not None:
        return unwanted
    code, message = _reason(outcome)
    if standing.counted >= standing.attempts_max:
        return _fail(
            standing,
            outcome,
            code,
            f"{message} (after {standing.counted} attempts)",
            retryable=True,
        )
    return Retry(
        job_id=standing.job_id,
        attempt=standing.attempt,
        outcome=outcome_name(outcome),
        code=code,
        ready_at=ready_at,
    )


def _unwanted(outcome: Outcome, standing: Standing, *, ready_at: datetime) -> Fail | None:
    """The end of a job that nobody would want any more when it waits again; None where somebody would."""
    _, message = _reason(outcome)
    if standing.cancel_requested:
        return _fail(
            standing, outcome, "cancelled", message, retryable=True, state=JobState.CANCELLED
        )
    if standing.due_at is not None and ready_at >= standing.due_at:
        return _fail(
            standing,
            outcome,
            "expired",
            f"the due time passed before an answer came; the last attempt: {message}",
            retryable=True,
            state=JobState.EXPIRED,
        )
    return None


def _reason(outcome: Outcome) -> tuple[str, str]:
    match outcome:
        case Transient() | Closed():
            return outcome.code, outcome.message
        case Lapsed():
            return "lapsed", "the provider's window closed before the request ran"
        case Cancelled():
            return "batch_cancelled", "the provider batch was cancelled before the request ran"
        case _:
            return "missing", "the provider returned no line for the request"


def _fail(
    standing: Standing,
    outcome: Outcome,
    code: str,
    message: str,
    *,
    retryable: bool,
    state: JobState = JobState.FAILED,
) -> Fail:
    request_id = getattr(outcome, "request_id", None)
    return Fail(
        job_id=standing.job_id,
        attempt=standing.attempt,
        state=state,
        outcome=outcome_name(outcome),
        code=code,
        message=message,
        retryable=retryable,
        request_id=request_id,
    )
