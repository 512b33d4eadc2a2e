"""Batches under way and the queues before them, for people and for `classify`. Reads and never locks."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from app.policy.lifecycle import SubmissionState
from app.policy.standing import Batch, Queue
from unhurried.contract import Tier

#: Batches that one look reads: those under way, the oldest first, and the newest collected ones.
LIVE_MAX: Final = 10_000
COLLECTED_MAX: Final = 1000
#: How long a collected batch is still looked at.
_COLLECTED_FOR: Final = timedelta(days=1)
#: Jobs past their due time that one look reads, an account.
_OVERDUE_MAX: Final = 20_000
#: Ended batches by which the usual length is told, and how many there must be of a provider and model.
_LIKE_IT_MAX: Final = 5000
_LIKE_IT_MIN: Final = 5
_HISTORY: Final = timedelta(days=30)
#: Accounts and tiers that queues are told by.
_QUEUES_MAX: Final = 500
_NEAR_REAL_TIME_LOOK: Final = 1000

_STATES: Final = {str(one): one for one in SubmissionState}
_LIVE: Final = "('planned', 'uploaded', 'sending', 'unknown', 'accepted')"
_COLUMNS: Final = """
    submission.id, submission.pack_id, submission.provider, submission.account, pack.model,
    submission.state, pack.jobs_count, submission.created_at, submission.provider_batch_id,
    submission.provider_status, submission.provider_done, submission.sent_at,
    submission.accepted_at, submission.observed_at, submission.expires_at, submission.ended_at,
    submission.collected_at, submission.last_error
"""

_BATCHES = text(f"""
    (SELECT {_COLUMNS} FROM submission JOIN pack ON pack.id = submission.pack_id
     WHERE submission.state IN {_LIVE} ORDER BY submission.created_at LIMIT :live_max)
    UNION ALL
    (SELECT {_COLUMNS} FROM submission JOIN pack ON pack.id = submission.pack_id
     WHERE submission.state = 'collected' AND submission.collected_at >= :since
     ORDER BY submission.collected_at DESC LIMIT :collected_max)
    UNION ALL
    (SELECT {_COLUMNS} FROM submission JOIN pack ON pack.id = submission.pack_id
     WHERE submission.state = 'collected' AND submission.collected_at < :since
       AND submission.id = ANY(CAST(:unread AS uuid[])))
""")  # noqa: S608 - constants of this module

_TYPICAL = text("""
    SELECT provider, model, percentile_cont(0.9) WITHIN GROUP (ORDER BY took_s) AS took_s FROM (
      SELECT submission.provider, pack.model,
             extract(epoch FROM coalesce(submission.ended_at, submission.collected_at)
                                - submission.accepted_at)::float8 AS took_s
      FROM submission JOIN pack ON pack.id = submission.pack_id
      WHERE submission.state = 'collected' AND submission.collected_at >= :since
        AND submission.accepted_at IS NOT NULL
      ORDER BY submission.collected_at DESC LIMIT :limit
    ) AS ended GROUP BY provider, model HAVING count(*) >= :at_least
""")

_OVERDUE = text("""
    SELECT pack_item.pack_id, min(late.due_at) AS due_at
    FROM unnest(CAST(:providers AS text[]), CAST(:accounts AS text[])) AS m(provider, account)
    CROSS JOIN LATERAL (
      SELECT id, due_at FROM job
      WHERE state = 'in_flight' AND due_at IS NOT NULL AND job.provider = m.provider
        AND job.account = m.account AND due_at <= :at
      ORDER BY due_at LIMIT :limit
    ) AS late JOIN pack_item ON pack_item.job_id = late.id AND pack_item.active
    GROUP BY pack_item.pack_id
""")

_NEXT_DUE = text("""
    SELECT m.provider, m.account, due_at
    FROM unnest(CAST(:providers AS text[]), CAST(:accounts AS text[])) AS m(provider, account)
    CROSS JOIN LATERAL (
      SELECT due_at FROM job
      WHERE state = 'in_flight' AND due_at IS NOT NULL AND job.provider = m.provider
        AND job.account = m.account
      ORDER BY due_at LIMIT 1
    ) AS soonest
""")

_WAITING = text("""
    SELECT tier, provider, account, count(*) FILTER (WHERE ready_at <= :at) AS waiting,
           min(ready_at) FILTER (WHERE ready_at <= :at) AS oldest_at,
           count(*) FILTER (WHERE ready_at > :at) AS later
    FROM job WHERE state = 'waiting' GROUP BY tier, provider, account LIMIT :limit
""")
#: Packed, and with no provider yet. Those that a provider has just refused, and that rest before they are offered
#: again, wait like the others: left out, an account that takes nothing for hours would look as if nothing waited.
_UNSENT = text("""
    SELECT 'batch' AS tier, submission.provider, submission.account,
           sum(pack.jobs_count)::bigint AS waiting, min(submission.created_at) AS oldest_at,
           0 AS later
    FROM submission JOIN pack ON pack.id = submission.pack_id
    WHERE submission.state IN ('planned', 'uploaded')
    GROUP BY submission.provider, submission.account LIMIT :limit
""")
_LEFT = text("""
    SELECT m.provider, m.account, (
      SELECT accepted_at FROM submission
      WHERE submission.provider = m.provider AND submission.account = m.account
        AND accepted_at IS NOT NULL
      ORDER BY accepted_at DESC LIMIT 1
    ) AS left_at
    FROM unnest(CAST(:providers AS text[]), CAST(:accounts AS text[])) AS m(provider, account)
""")
_CLAIMED = text("""
    SELECT job.provider, job.account, max(opened_at) AS left_at FROM (
      SELECT job_id, opened_at FROM attempt WHERE tier = 'near-real-time'
      ORDER BY opened_at DESC LIMIT :limit
    ) AS claimed JOIN job ON job.id = claimed.job_id GROUP BY job.provider, job.account
""")

Account = tuple[str, str]


def batches(
    connection: Connection, *, at: datetime, unread: Mapping[UUID, datetime]
) -> list[Batch]:
    """Batches under way, and those collected within a day or with unread results."""
    rows = connection.execute(
        _BATCHES,
        {
            "live_max": LIVE_MAX,
            "collected_max": COLLECTED_MAX,
            "since": at - _COLLECTED_FOR,
            "unread": list(unread),
        },
    ).all()
    typical = _typical(connection, at)
    late = _overdue(connection, {(row.provider, row.account) for row in rows}, at)
    return [
        _batch(
            row,
            typical=typical.get((row.provider, row.model)),
            due_at=late.get(row.pack_id),
            unread_since=unread.get(row.id),
        )
        for row in rows
    ]


def _batch(row: Any, **of_others: Any) -> Batch:
    """Written out: ten thousand of them are made for each look, and by name alone that takes twice as long."""
    return Batch(
        submission_id=str(row.id),
        provider=row.provider,
        account=row.account,
        model=row.model,
        state=_STATES[row.state],
        jobs_count=row.jobs_count,
        created_at=row.created_at,
        provider_batch_id=row.provider_batch_id,
        provider_status=row.provider_status,
        provider_done=row.provider_done,
        sent_at=row.sent_at,
        accepted_at=row.accepted_at,
        observed_at=row.observed_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        collected_at=row.collected_at,
        last_error=row.last_error,
        **of_others,
    )


def _typical(connection: Connection, at: datetime) -> dict[Account, timedelta]:
    rows = connection.execute(
        _TYPICAL,
        {"since": at - _HISTORY, "limit": _LIKE_IT_MAX, "at_least": _LIKE_IT_MIN},
    )
    return {(row.provider, row.model): timedelta(seconds=row.took_s) for row in rows}


def _overdue(
    connection: Connection, accounts: Collection[Account], at: datetime
) -> dict[UUID, datetime]:
    rows = connection.execute(_OVERDUE, {**_split(accounts), "at": at, "limit": _OVERDUE_MAX})
    return {row.pack_id: row.due_at for row in rows}


def next_due(connection: Connection, accounts: Collection[Account]) -> dict[Account, datetime]:
    """The nearest due time of what is under way, by account."""
    rows = connection.execute(_NEXT_DUE, _split(accounts))
    return {(row.provider, row.account): row.due_at for row in rows}


def queues(connection: Connection, *, at: datetime) -> list[Queue]:
    """What waits by tier and account, and when something last left."""
    rows = [
        row
        for statement in (_WAITING, _UNSENT)
        for row in connection.execute(statement, {"at": at, "limit": _QUEUES_MAX})
    ]
    left = _left(connection, {(row.provider, row.account) for row in rows})
    grouped: dict[tuple[Tier, str, str], list[Any]] = defaultdict(list)
    for row in rows:
        grouped[Tier(row.tier), row.provider, row.account].append(row)
    return [
        Queue(
            tier=tier,
            provider=provider,
            account=account,
            waiting_count=sum(row.waiting for row in found),
            oldest_at=min((row.oldest_at for row in found if row.oldest_at), default=None),
            left_at=left.get((tier, provider, account)),
            later_count=sum(row.later for row in found),
        )
        for (tier, provider, account), found in sorted(grouped.items())
    ]


def _left(
    connection: Connection, accounts: Collection[Account]
) -> dict[tuple[Tier, str, str], datetime | None]:
    sent: Sequence[Any] = connection.execute(_LEFT, _split(accounts)).all()
    found = {(Tier.BATCH, row.provider, row.account): row.left_at for row in sent}
    claimed = connection.execute(_CLAIMED, {"limit": _NEAR_REAL_TIME_LOOK})
    return found | {
        (Tier.NEAR_REAL_TIME, row.provider, row.account): row.left_at for row in claimed
    }


def _split(accounts: Collection[Account]) -> dict[str, list[str]]:
    ordered = sorted(accounts)
    return {
        "providers": [provider for provider, _ in ordered],
        "accounts": [account for _, account in ordered],
    }
