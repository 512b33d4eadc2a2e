"""Figures over the whole ledger, for pages, commands and the demo. They read and never lock."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, kw_only=True, slots=True)
class JobCount:
    """How many jobs of a provider and tier are in a state."""

    provider: str
    tier: str
    state: str
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchLine:
    """One submission as people look at it."""

    provider: str
    provider_batch_id: str | None
    state: str
    provider_status: str | None
    jobs_count: int
    settled_count: int
    created_at: datetime
    collected_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """Sums of one tier, in nano-dollars. Lines whose price is unknown are counted, not guessed."""

    tier: str
    jobs: int
    succeeded: int
    failed: int
    cost_nano_usd: int
    sync_cost_nano_usd: int
    unpriced: int


def job_counts(connection: Connection) -> list[JobCount]:
    """Jobs by provider, tier and state."""
    rows = connection.execute(
        text("""
            SELECT provider, tier, state, count(*) AS count FROM job
            GROUP BY provider, tier, state ORDER BY provider, tier, state
        """)
    )
    return [JobCount(**row._asdict()) for row in rows]


def batches(connection: Connection, *, limit: int = 100) -> list[BatchLine]:
    """The newest submissions, with how many of their jobs are settled."""
    rows = connection.execute(
        text("""
            SELECT submission.provider, submission.provider_batch_id, submission.state,
                   submission.provider_status, pack.jobs_count,
                   (SELECT count(*) FROM pack_item
                    WHERE pack_item.pack_id = pack.id AND NOT active) AS settled_count,
                   submission.created_at, submission.collected_at
            FROM submission JOIN pack ON pack.id = submission.pack_id
            ORDER BY submission.created_at DESC LIMIT :limit
        """),
        {"limit": limit},
    )
    return [BatchLine(**row._asdict()) for row in rows]


def spending(connection: Connection) -> list[Spending]:
    """What was paid, and what the same would have cost at once, by tier."""
    rows = connection.execute(
        text("""
            SELECT job.tier, count(*) AS jobs,
                   count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
                   count(*) FILTER (WHERE state IN ('failed', 'expired', 'cancelled')) AS failed,
                   coalesce(sum(paid.nano_usd), 0)::bigint AS cost_nano_usd,
                   coalesce(sum(sync_cost_nano_usd), 0)::bigint AS sync_cost_nano_usd,
                   coalesce(sum(paid.unpriced), 0)::bigint AS unpriced
            FROM job LEFT JOIN (
              SELECT job_id, sum(nano_usd) AS nano_usd,
                     count(*) FILTER (WHERE nano_usd IS NULL) AS unpriced
              FROM charge GROUP BY job_id
            ) AS paid ON paid.job_id = job.id
            GROUP BY job.tier ORDER BY job.tier
        """)
    )
    return [Spending(**row._asdict()) for row in rows]


def charged_nano_usd(connection: Connection) -> int:
    """Everything booked, whichever job it was for."""
    total: int = connection.execute(
        text("SELECT coalesce(sum(nano_usd), 0)::bigint FROM charge")
    ).scalar_one()
    return total
