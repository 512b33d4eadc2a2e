"""How deep the queues were, minute by minute: upkeep records it, pages draw it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from app.ledger import under_way
from app.policy.depths import Depth
from unhurried.contract import Tier

#: What one look reads, and how long it is kept.
SHOWN: Final = timedelta(hours=6)
_KEPT: Final = timedelta(days=1)
#: A direct call waits in Redis alone.
_TIERS: Final = (Tier.BATCH, Tier.NEAR_REAL_TIME)

_COUNTED = text("""
    SELECT name, labels[1] AS tier, sum(count)::bigint AS count FROM (
      SELECT name, labels, count FROM measure WHERE name IN ('jobs_queued', 'jobs_opened')
      UNION ALL
      SELECT name, labels, count FROM tally WHERE name IN ('jobs_queued', 'jobs_opened')
    ) AS counted GROUP BY 1, 2
""")


def record(connection: Connection, *, at: datetime) -> None:
    """Note how deep each queue is in this minute, and forget what is a day old. May be repeated."""
    depth: Counter[str] = Counter()
    for queue in under_way.queues(connection, at=at):
        depth[str(queue.tier)] += queue.waiting_count
    counted = {(row.name, row.tier): row.count for row in connection.execute(_COUNTED)}
    connection.execute(
        text("""
            INSERT INTO depth (tier, at, waiting_count, queued_count, opened_count)
            VALUES (:tier, date_trunc('minute', CAST(:at AS timestamptz)), :waiting, :queued, :opened)
            ON CONFLICT DO NOTHING
        """),
        [
            {
                "tier": str(tier),
                "at": at,
                "waiting": depth[str(tier)],
                "queued": counted.get(("jobs_queued", tier), 0),
                "opened": counted.get(("jobs_opened", tier), 0),
            }
            for tier in _TIERS
        ],
    )
    connection.execute(text("DELETE FROM depth WHERE at < :before"), {"before": at - _KEPT})


def read(connection: Connection, *, at: datetime) -> Sequence[Depth]:
    """The last hours, the oldest first: at most a row a minute and tier."""
    rows = connection.execute(
        text("""
            SELECT tier, at, waiting_count, queued_count, opened_count FROM depth
            WHERE at >= :since ORDER BY at
        """),
        {"since": at - SHOWN},
    )
    return [Depth(**row._asdict()) for row in rows]
