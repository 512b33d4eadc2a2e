"""Results that are there, that somebody awaits, and that nobody has picked up. Reads and never locks.

Published is not picked up. A chord's parts count from when its body was published, a run's from its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from app.policy.awaiting import Known, reader_name
from app.policy.standing import Unread

#: Whoever awaits something: tasks, receivers and workloads that one look tells apart.
READERS_MAX: Final = 500
#: Results that are counted for each of them: so many, "or more".
RESULTS_MAX: Final = 10_000
#: The same where batches are told by them.
_RESULTS_OF_BATCHES_MAX: Final = 500
_CONSUMERS_MAX: Final = 2000

_AWAITED: Final = "state = 'completed' AND awaited_by IS NOT NULL AND picked_up_at IS NULL"

#: The names that are awaited, read from the index name by name; workloads only where a consumer is declared.
_NAMES: Final = f"""
    WITH RECURSIVE name AS (
      (SELECT awaited_by FROM ticket WHERE {_AWAITED} ORDER BY awaited_by LIMIT 1)
      UNION ALL
      SELECT (
        SELECT awaited_by FROM ticket WHERE {_AWAITED} AND awaited_by > name.awaited_by
        ORDER BY awaited_by LIMIT 1
      ) FROM name WHERE name.awaited_by IS NOT NULL
    ), reader AS (
      SELECT awaited_by FROM name WHERE awaited_by IS NOT NULL AND (
        awaited_by NOT LIKE '@%' OR EXISTS (
          SELECT FROM consumer WHERE consumer.workload = substr(awaited_by, 2)
        )
      ) LIMIT :readers_max
    )
"""  # noqa: S608 - constants of this module
#: What one of them awaits, the oldest first, and since when it was there to be read.
_OF_READER: Final = f"""
    SELECT ticket.id, ticket.job_id, ticket.completed_at,
           CASE WHEN ticket.in_chord THEN published.at
                WHEN ticket.run_id IS NOT NULL THEN greatest(run.ended_at, ticket.completed_at)
                ELSE ticket.completed_at END AS since_at,
           ticket.run_id IS NOT NULL AND run.ended_at IS NULL AS is_early
    FROM ticket
    LEFT JOIN published ON ticket.in_chord AND published.task_id = ticket.follower_id
    LEFT JOIN run ON run.id = ticket.run_id
    WHERE {_AWAITED.replace("state", "ticket.state")} AND ticket.awaited_by = reader.awaited_by
      AND ticket.completed_at >= :since
    ORDER BY ticket.completed_at LIMIT :results_max
"""  # noqa: S608 - constants of this module

_COUNT = text(f"""
    {_NAMES}
    SELECT reader.awaited_by, unread.results_count, unread.oldest_at, unread.completed_at, job.workload
    FROM reader CROSS JOIN LATERAL (
      SELECT count(*) AS results_count, min(since_at) AS oldest_at, min(completed_at) AS completed_at,
             (array_agg(job_id ORDER BY since_at))[1] AS job_id
      FROM ({_OF_READER}) AS one WHERE since_at IS NOT NULL AND NOT is_early
    ) AS unread LEFT JOIN job ON job.id = unread.job_id
    WHERE unread.results_count > 0 ORDER BY unread.oldest_at
""")  # noqa: S608 - constants of this module

_BATCHES = text(f"""
    {_NAMES}
    SELECT attempt.submission_id, min(one.since_at) AS since_at
    FROM reader CROSS JOIN LATERAL ({_OF_READER}) AS one
    JOIN job ON job.id = one.job_id
    JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempt
    WHERE one.since_at IS NOT NULL AND NOT one.is_early AND attempt.submission_id IS NOT NULL
    GROUP BY attempt.submission_id
""")  # noqa: S608 - constants of this module

_LIST = text(f"""
    {_NAMES}
    SELECT reader.awaited_by, one.since_at, one.completed_at, ticket.task_id, job.id AS job_id,
           job.workload, job.subject, job.key
    FROM reader CROSS JOIN LATERAL ({_OF_READER}) AS one
    JOIN ticket ON ticket.id = one.id LEFT JOIN job ON job.id = one.job_id
    WHERE one.since_at IS NOT NULL AND NOT one.is_early
    ORDER BY one.since_at LIMIT :limit
""")  # noqa: S608 - constants of this module


@dataclass(frozen=True, kw_only=True, slots=True)
class UnreadResult:
    """One result that waits for its reader."""

    consumer: str
    workload: str | None
    subject: str | None
    key: str | None
    task_id: str
    job_id: UUID | None
    since_at: datetime
    expires_at: datetime


def read(connection: Connection, *, at: datetime, lifetime: timedelta) -> Sequence[Unread]:
    """What is unread, by who awaits it; the oldest first. What Redis has forgotten is not among it."""
    known = _known(connection)
    rows = connection.execute(
        _COUNT,
        {"since": at - lifetime, "readers_max": READERS_MAX, "results_max": RESULTS_MAX},
    )
    return [
        Unread(
            consumer=reader_name(row.awaited_by, known),
            workload=row.workload or _workload(row.awaited_by),
            count=row.results_count,
            oldest_at=row.oldest_at,
            expires_at=row.completed_at + lifetime,
        )
        for row in rows
    ]


def awaited(connection: Connection, consumer: str) -> list[str]:
    """What tickets call a reader that people call so: the whole name, or one of several consumers."""
    rows = connection.execute(
        text(f"{_NAMES} SELECT awaited_by FROM reader"),  # noqa: S608 - a constant of this module
        {"readers_max": READERS_MAX},
    )
    known = _known(connection)
    names = {one: reader_name(one, known) for one in rows.scalars()}
    return [one for one, name in names.items() if consumer in (name, *name.split(", "))]


def by_submission(
    connection: Connection, *, at: datetime, lifetime: timedelta
) -> dict[UUID, datetime]:
    """Submissions that have unread results, and since when the oldest of them was there."""
    rows = connection.execute(
        _BATCHES,
        {
            "since": at - lifetime,
            "readers_max": READERS_MAX,
            "results_max": _RESULTS_OF_BATCHES_MAX,
        },
    )
    return {row.submission_id: row.since_at for row in rows}


def listed(
    connection: Connection, *, at: datetime, lifetime: timedelta, limit: int
) -> Sequence[UnreadResult]:
    """Unread results one by one, the oldest first."""
    known = _known(connection)
    rows = connection.execute(
        _LIST,
        {
            "since": at - lifetime,
            "readers_max": READERS_MAX,
            "results_max": limit,
            "limit": limit,
        },
    )
    return [
        UnreadResult(
            consumer=reader_name(row.awaited_by, known),
            workload=row.workload,
            subject=row.subject,
            key=row.key,
            task_id=row.task_id,
            job_id=row.job_id,
            since_at=row.since_at,
            expires_at=row.completed_at + lifetime,
        )
        for row in rows
    ]


def _known(connection: Connection) -> Sequence[Known]:
    rows = connection.execute(
        text("SELECT workload, name, task FROM consumer ORDER BY workload, name LIMIT :limit"),
        {"limit": _CONSUMERS_MAX},
    )
    return [Known(**row._asdict()) for row in rows]


def _workload(awaited_by: str) -> str | None:
    return awaited_by[1:] if awaited_by.startswith("@") else None
