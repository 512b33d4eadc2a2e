"""Near-real-time jobs: claimed one by one, settled one by one, and found when their worker died."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from app.ledger import moves, settling, spending
from app.policy.judging import Judged
from app.policy.lifecycle import Fail, JobState, Retry
from app.policy.settling import Standing
from unhurried.contract import OnFailure, OnLost, Tier

_LOST = "the worker died while the provider was answering: the answer may have been paid for"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest waiting job of an account, as its limits need to know it."""

    provider: str
    account: str
    tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """A job that is this worker's to answer, once."""

    provider: str
    account: str
    endpoint: str
    model: str
    request: bytes = field(repr=False)
    on_lost: OnLost
    standing: Standing


def waiting(connection: Connection, *, at: datetime) -> list[Waiting]:
    """One entry for each account with jobs that may go at `at`; those past their due time end without."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT ON (job.provider, job.account)
                   job.provider, job.account, job.request_tokens
            FROM job
            WHERE job.state = 'waiting' AND job.tier = :tier AND job.ready_at <= :at
              AND (job.due_at IS NULL OR job.due_at > :at)
              AND job.cancel_requested_at IS NULL AND NOT EXISTS (
                SELECT 1 FROM lane WHERE lane.provider = job.provider AND lane.account = job.account
                AND lane.model IN ('', job.model) AND lane.paused_at IS NOT NULL)
            ORDER BY job.provider, job.account, job.ready_at
        """),
        {"tier": Tier.NEAR_REAL_TIME, "at": at},
    )
    return [Waiting(row.provider, row.account, row.request_tokens) for row in rows]


@dataclass(frozen=True, slots=True)
class OverLimit:
    """The account's oldest job would go over what it may spend today."""

    #: Whether it is the first today.
    first: bool


def claim(
    connection: Connection,
    *,
    provider: str,
    account: str,
    at: datetime,
    limit_nano_usd: int | None = None,
) -> Claimed | OverLimit | None:
    """Open an attempt of the account's oldest job; None where others have taken them all.

    A paused lane holds its own jobs back and no others.
    """
    row = _oldest(connection, provider=provider, account=account, at=at)
    if row is not None and limit_nano_usd is not None and row.ceiling_nano_usd > limit_nano_usd:
        # No day pays for it, since it was expedited or the limit lowered: those behind it go first.
        row = (
            _oldest(connection, provider=provider, account=account, at=at, most=limit_nano_usd)
            or row
        )
    if row is None:
        return None
    may = spending.affordable(
        connection,
        [row.id],
        provider=provider,
        account=account,
        tier=Tier.NEAR_REAL_TIME,
        limit_nano_usd=limit_nano_usd,
        at=at,
    )
    if not may:
        return OverLimit(spending.held_now(connection, provider=provider, account=account, at=at))
    taken = moves.take_off(
        connection, [row.id], tier=Tier.NEAR_REAL_TIME, submission_id=None, at=at
    )
    number = taken[row.id]
    return Claimed(
        provider=provider,
        account=account,
        endpoint=row.endpoint,
        model=row.model,
        request=bytes(row.request),
        on_lost=OnLost(row.on_lost),
        standing=Standing(
            job_id=row.id,
            attempt=number,
            counted=number - row.uncounted,
            attempts_max=row.attempts_max,
            due_at=row.due_at,
            cancel_requested=row.cancel_requested,
            tries_flaws_again=row.on_failure == OnFailure.RETRY,
            answer_schema=row.answer_schema,
        ),
    )


def _oldest(
    connection: Connection, *, provider: str, account: str, at: datetime, most: int | None = None
) -> Row[Any] | None:
    """The account's oldest job that may go now and costs no more than `most`, held; None where none does."""
    return connection.execute(
        text("""
            SELECT id, endpoint, model, request, on_lost, attempt, uncounted, attempts_max, due_at,
                   on_failure, answer_schema, ceiling_nano_usd,
                   cancel_requested_at IS NOT NULL AS cancel_requested
            FROM job
            WHERE state = 'waiting' AND tier = :tier AND provider = :provider
              AND account = :account AND ready_at <= :at AND (due_at IS NULL OR due_at > :at)
              AND (CAST(:most AS bigint) IS NULL OR ceiling_nano_usd <= :most)
              AND cancel_requested_at IS NULL AND NOT EXISTS (
                SELECT 1 FROM lane WHERE lane.provider = job.provider AND lane.account = job.account
                AND lane.model IN ('', job.model) AND lane.paused_at IS NOT NULL)
            ORDER BY ready_at LIMIT 1 FOR UPDATE SKIP LOCKED
        """),
        {
            "tier": Tier.NEAR_REAL_TIME,
            "provider": provider,
            "account": account,
            "at": at,
            "most": most,
        },
    ).one_or_none()


def settle(connection: Connection, judged: Judged, *, at: datetime) -> bool:
    """Book the line and move the job; False where the job had been given up for lost meanwhile."""
    moved = bool(moves.apply(connection, [judged.move], at=at))
    settling.book(connection, [judged.charge] if judged.charge is not None else [], at=at)
    return moved


def give_up_lost(
    connection: Connection, *, opened_before: datetime, at: datetime, limit: int = 500
) -> int:
    """Move on with jobs whose call can no longer be under way; how many there were.

    `on_lost=raise` fails the job, `retry` tries it again while it has attempts left: it may be what its
    workers die of. Either way the event says that the first attempt may have been paid for.
    """
    rows = connection.execute(
        text("""
            SELECT job.id, job.attempt,
                   job.on_lost = :retry AND job.attempt - job.uncounted < job.attempts_max AS again
            FROM job
            JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempt
            WHERE job.state = 'in_flight' AND attempt.tier = :tier
              AND attempt.settled_at IS NULL AND attempt.opened_at < :before
            LIMIT :limit FOR UPDATE OF job SKIP LOCKED
        """),
        {
            "tier": Tier.NEAR_REAL_TIME,
            "before": opened_before,
            "limit": limit,
            "retry": OnLost.RETRY,
        },
    ).all()
    decided = [_lost(row.id, row.attempt, at, again=row.again) for row in rows]
    return len(moves.apply(connection, decided, at=at, expected=JobState.IN_FLIGHT))


def _lost(job_id: UUID, attempt: int, at: datetime, *, again: bool) -> Fail | Retry:
    if again:
        return Retry(
            job_id=job_id, attempt=attempt, outcome="lost", code="possible_spend", ready_at=at
        )
    return Fail(
        job_id=job_id,
        attempt=attempt,
        state=JobState.FAILED,
        outcome="lost",
        code="answer_lost",
        message=_LOST,
        retryable=True,
    )
