"""What each account has spent and reserved, by the UTC day on which the attempt was opened.

One row an account and a day, locked by whoever adds to it: any number of processes stay below the limit
together. A reservation is an attempt's ceiling; its charge takes its place, and what was not used is
free again. Whoever ends attempts locks their jobs before this row; whoever opens them locks the row
before jobs that wait: no job is in both.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection, text

from app.policy import spending
from unhurried.contract import Tier


def affordable(
    connection: Connection,
    job_ids: Sequence[UUID],
    *,
    provider: str,
    account: str,
    tier: Tier,
    limit_nano_usd: int | None,
    at: datetime,
) -> list[UUID]:
    """The first of the waiting jobs that the account may still pay for; all where there is no limit.

    The day's row stays locked until the end of the transaction.
    """
    if limit_nano_usd is None:
        return list(job_ids)
    left = limit_nano_usd - _locked(connection, provider=provider, account=account, at=at)
    rows = connection.execute(
        text("""
            SELECT id, ceiling_nano_usd FROM job
            WHERE id = ANY(CAST(:ids AS uuid[])) AND state = 'waiting'
        """),
        {"ids": list(job_ids)},
    )
    ceilings = {row.id: spending.at_tier(row.ceiling_nano_usd, tier) for row in rows}
    found = spending.affordable(
        job_ids, ceilings, left_nano_usd=left, limit_nano_usd=limit_nano_usd
    )
    if len(found) < len(ceilings):
        _hold(connection, provider=provider, account=account, at=at)
    return found


def reserve(connection: Connection, taken: Mapping[UUID, int]) -> None:
    """Count what the attempts (number by job) that were just opened may cost."""
    if not taken:
        return
    connection.execute(
        text("""
            WITH reserved AS (
              -- The ceiling at the attempt's tier, as policy has it.
              UPDATE attempt SET reserved_nano_usd = CASE WHEN attempt.tier = 'batch'
                THEN (job.ceiling_nano_usd + 1) / 2 ELSE job.ceiling_nano_usd END
              FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS int[])) AS m(job_id, number)
              JOIN job ON job.id = m.job_id
              WHERE attempt.job_id = m.job_id AND attempt.number = m.number
              RETURNING job.provider, job.account, attempt.opened_at, attempt.reserved_nano_usd
            )
            INSERT INTO spend (provider, account, day, nano_usd)
            SELECT provider, account, (opened_at AT TIME ZONE 'UTC')::date, sum(reserved_nano_usd)
            FROM reserved GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            ON CONFLICT (provider, account, day)
            DO UPDATE SET nano_usd = spend.nano_usd + EXCLUDED.nano_usd
        """),
        {"ids": list(taken), "numbers": list(taken.values())},
    )


def release(connection: Connection, closed: Mapping[UUID, int]) -> None:
    """Free the reservations of attempts that have just ended, once; what they cost is added when it is
    booked. One that may have been paid for unseen keeps its own."""
    if not closed:
        return
    connection.execute(
        text("""
            WITH freed AS (
              UPDATE attempt SET reserved_nano_usd = 0
              FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS int[])) AS m(job_id, number)
              JOIN attempt AS before ON before.job_id = m.job_id AND before.number = m.number
              JOIN job ON job.id = m.job_id
              WHERE attempt.job_id = m.job_id AND attempt.number = m.number
                AND attempt.settled_at IS NOT NULL AND attempt.reserved_nano_usd <> 0
                AND attempt.outcome NOT IN ('lost', 'missing')
              RETURNING job.provider, job.account, attempt.opened_at,
                        before.reserved_nano_usd AS nano_usd
            ), summed AS (
              SELECT provider, account, (opened_at AT TIME ZONE 'UTC')::date AS day,
                     sum(nano_usd) AS nano_usd
              FROM freed GROUP BY 1, 2, 3
            )
            UPDATE spend SET nano_usd = spend.nano_usd - summed.nano_usd FROM summed
            WHERE spend.provider = summed.provider AND spend.account = summed.account
              AND spend.day = summed.day
        """),
        {"ids": list(closed), "numbers": list(closed.values())},
    )


def add(
    connection: Connection, *, provider: str, account: str, nano_usd: int, at: datetime
) -> None:
    """Count an amount for the day of `at`; a negative one frees what was reserved."""
    connection.execute(
        text("""
            INSERT INTO spend (provider, account, day, nano_usd)
            VALUES (:provider, :account, :day, :nano_usd)
            ON CONFLICT (provider, account, day)
            DO UPDATE SET nano_usd = spend.nano_usd + EXCLUDED.nano_usd
        """),
        {"provider": provider, "account": account, "day": _day(at), "nano_usd": nano_usd},
    )


def take(
    connection: Connection,
    *,
    provider: str,
    account: str,
    nano_usd: int,
    limit_nano_usd: int,
    at: datetime,
) -> int:
    """Reserve an amount for a direct call; what is left then. Nothing is reserved where that is negative."""
    spent = _locked(connection, provider=provider, account=account, at=at)
    left = limit_nano_usd - spent - nano_usd
    if left >= 0:
        add(connection, provider=provider, account=account, nano_usd=nano_usd, at=at)
    return left


def held_now(connection: Connection, *, provider: str, account: str, at: datetime) -> bool:
    """Whether the limit has held a job back for the first time today in the transaction of `at`."""
    row = connection.execute(
        text("""
            SELECT 1 FROM spend WHERE provider = :provider AND account = :account
              AND day = :day AND held_at = :at
        """),
        {"provider": provider, "account": account, "day": _day(at), "at": at},
    )
    return row.one_or_none() is not None


def _hold(connection: Connection, *, provider: str, account: str, at: datetime) -> None:
    connection.execute(
        text("""
            UPDATE spend SET held_at = :at
            WHERE provider = :provider AND account = :account AND day = :day AND held_at IS NULL
        """),
        {"provider": provider, "account": account, "day": _day(at), "at": at},
    )


def _locked(connection: Connection, *, provider: str, account: str, at: datetime) -> int:
    add(connection, provider=provider, account=account, nano_usd=0, at=at)
    # The upsert holds the row's lock until the end of the transaction.
    spent = connection.execute(
        text("""
            SELECT nano_usd FROM spend
            WHERE provider = :provider AND account = :account AND day = :day
        """),
        {"provider": provider, "account": account, "day": _day(at)},
    )
    return int(spent.scalar_one())


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()
