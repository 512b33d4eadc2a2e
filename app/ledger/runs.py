"""Runs: opened by their first part, sealed by their caller, counted while open, ended once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from app.ledger import moves, notifications
from app.policy import runs
from app.policy.lifecycle import JobState, cancelled
from app.policy.runs import Look, RunDraft
from unhurried.run_wire import RUN_TASK

#: Runs that one look counts.
_LOOKS_MAX: Final = 50
#: A run is counted again after a second, or a second for so many parts: counting 5,000 takes some 40 ms,
#: so that counting the largest run takes a few hundredths of the time.
_AGAIN_AFTER_S: Final = 1.0
_PARTS_A_SECOND: Final = 5000.0
#: A run that its caller does not seal is counted seldom, and no longer once its callers cannot see it.
_UNSEALED_AGAIN_AFTER_S: Final = 30.0
_UNSEALED_FORGOTTEN_AFTER: Final = timedelta(days=8)
#: Jobs that one statement cancels.
_CANCEL_MAX: Final = 1000
#: How many of the newest jobs like a run's tell when it is likely to end.
_LIKE_IT: Final = 500

_LOOK = text("""
    -- Materialized, or the plan may run it again for each row, and take more than the limit.
    WITH due AS MATERIALIZED (
      SELECT id FROM run
      WHERE ended_at IS NULL
        AND (sealed_at IS NOT NULL OR cancel_requested_at IS NOT NULL OR opened_at > :forgotten)
        AND (looked_at IS NULL OR looked_at <= :at - make_interval(secs => CASE
          WHEN sealed_at IS NULL AND cancel_requested_at IS NULL THEN :unsealed_again_s
          ELSE greatest(:again_s, coalesce(total, 0) / :parts_a_second) END))
      ORDER BY looked_at NULLS FIRST LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE run SET looked_at = :at WHERE id IN (SELECT id FROM due)
    RETURNING id, workload, total, cancel_requested_at, expected_at
""")

_COUNT = text("""
    SELECT ticket.run_id, count(*) AS admitted,
           count(*) FILTER (WHERE job.state = 'waiting') AS waiting,
           count(*) FILTER (WHERE job.state = 'in_flight') AS in_flight,
           count(*) FILTER (WHERE ticket.state = 'completed') AS done,
           count(*) FILTER (WHERE ticket.state = 'completed'
                              AND (job.state IS DISTINCT FROM 'succeeded'
                                   -- Asked for after its answer was pruned.
                                   OR job.content_pruned_at < ticket.admitted_at)) AS failed
    FROM ticket LEFT JOIN job ON job.id = ticket.job_id
    WHERE ticket.run_id = ANY(CAST(:ids AS uuid[]))
    GROUP BY ticket.run_id
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One ended or open part of a run."""

    ticket_id: int
    task_id: str


def opened(
    connection: Connection, parts: Mapping[UUID, tuple[str, str | None]], *, at: datetime
) -> set[UUID]:
    """Note the runs that arriving parts belong to, with tenant and workload; those that were cancelled."""
    if not parts:
        return set()
    rows = [
        {"id": run_id, "tenant": tenant, "workload": workload, "at": at}
        for run_id, (tenant, workload) in sorted(parts.items())
    ]
    connection.execute(
        text("""
            INSERT INTO run (id, tenant, workload, opened_at) VALUES (:id, :tenant, :workload, :at)
            ON CONFLICT DO NOTHING
        """),
        rows,
    )
    cancelled = connection.execute(
        text("SELECT id FROM run WHERE id = ANY(:ids) AND cancel_requested_at IS NOT NULL"),
        {"ids": list(parts)},
    )
    return set(cancelled.scalars())


def seal(connection: Connection, draft: RunDraft, *, at: datetime) -> None:
    """Say how many parts there are. Sealed again it may have grown; then it ends again, for new tickets."""
    connection.execute(
        text("""
            INSERT INTO run (id, tenant, workload, total, opened_at, sealed_at, expected_at)
            VALUES (:id, :tenant, :workload, :total, :at, :at, :expected_at)
            ON CONFLICT (id) DO UPDATE
              SET total = greatest(coalesce(run.total, 0), excluded.total),
                  sealed_at = coalesce(run.sealed_at, excluded.sealed_at),
                  expected_at = coalesce(run.expected_at, excluded.expected_at),
                  ended_at = NULL
        """),
        {
            "id": draft.id,
            "tenant": draft.tenant,
            "workload": draft.workload,
            "total": draft.total,
            "expected_at": _expected_at(connection, draft, at),
            "at": at,
        },
    )


def _expected_at(connection: Connection, draft: RunDraft, at: datetime) -> datetime | None:
    """When nine of ten jobs like these would have ended; None where there were none yet."""
    if draft.workload is None:
        return None
    found: float | None = connection.execute(
        text("""
            SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY took_s) FROM (
              SELECT extract(epoch FROM settled_at - admitted_at)::float8 AS took_s FROM job
              WHERE workload = :workload AND tenant = :tenant AND tier = :tier
                AND state = 'succeeded'
              ORDER BY settled_at DESC LIMIT :limit
            ) AS like_it
        """),
        {
            "workload": draft.workload,
            "tenant": draft.tenant,
            "tier": draft.tier,
            "limit": _LIKE_IT,
        },
    ).scalar_one()
    return at + timedelta(seconds=found) if found is not None else None


def look(connection: Connection, *, at: datetime) -> list[Look]:
    """Count open runs, those first that were not counted for longest. Nobody else counts them meanwhile."""
    rows = connection.execute(
        _LOOK,
        {
            "at": at,
            "again_s": _AGAIN_AFTER_S,
            "unsealed_again_s": _UNSEALED_AGAIN_AFTER_S,
            "parts_a_second": _PARTS_A_SECOND,
            "forgotten": at - _UNSEALED_FORGOTTEN_AFTER,
            "limit": _LOOKS_MAX,
        },
    ).all()
    return _counted(connection, rows)


def find(connection: Connection, run_id: UUID) -> Look | None:
    """A run as it stands, open or ended; None where there is none."""
    rows = connection.execute(
        text("""
            SELECT id, workload, total, cancel_requested_at, expected_at FROM run WHERE id = :id
        """),
        {"id": run_id},
    ).all()
    return next(iter(_counted(connection, rows)), None)


def _counted(connection: Connection, rows: Sequence[Any]) -> list[Look]:
    if not rows:
        return []
    counted = {
        row.run_id: row._asdict()
        for row in connection.execute(_COUNT, {"ids": [row.id for row in rows]})
    }
    nothing = dict.fromkeys(("admitted", "waiting", "in_flight", "done", "failed"), 0)
    return [
        Look(
            id=row.id,
            workload=row.workload,
            total=row.total,
            cancel_requested=row.cancel_requested_at is not None,
            expected_at=row.expected_at,
            **{name: counted.get(row.id, nothing)[name] for name in nothing},
        )
        for row in rows
    ]


def end(connection: Connection, looks: Sequence[Look], *, at: datetime) -> None:
    """End runs whose parts have all ended: their own tickets become ready, with what is to be told."""
    for one in looks:
        connection.execute(
            text("""
                UPDATE run SET ended_at = :at, done = :done, failed = :failed
                WHERE id = :id AND ended_at IS NULL
            """),
            {"id": one.id, "done": one.done, "failed": one.failed, "at": at},
        )
        ended = connection.execute(
            text("""
                UPDATE ticket SET state = 'ready', ready_at = :at, "end" = :end
                WHERE task_id = :task_id AND task_name = :name AND state = 'open'
                RETURNING id, tenant, notify, headers
            """),
            {
                "task_id": str(one.id),
                "name": RUN_TASK,
                "end": json.dumps(runs.end(one)).encode(),
                "at": at,
            },
        )
        for row in ended:
            notifications.stage_run(connection, row, runs.about(one), at=at)


def parts(connection: Connection, run_id: UUID, *, after: int, limit: int) -> list[Part]:
    """Parts of a run in the order in which they were admitted, beginning after a ticket's id."""
    rows = connection.execute(
        text("""
            SELECT id AS ticket_id, task_id FROM ticket
            WHERE run_id = :run_id AND id > :after ORDER BY id LIMIT :limit
        """),
        {"run_id": run_id, "after": after, "limit": limit},
    )
    return [Part(**row._asdict()) for row in rows]


def cancel(connection: Connection, run_id: UUID, *, at: datetime) -> tuple[int, int]:
    """Ask for a run to be dropped, and drop what waits; how many jobs that were, and how many others are
    in flight. May be repeated.

    A job that a task outside of the run waits for as well goes on. A job in flight comes to its end, and is
    not tried again.
    """
    connection.execute(
        text("""
            INSERT INTO run (id, tenant, opened_at, cancel_requested_at)
            VALUES (:id, 'default', :at, :at)
            ON CONFLICT (id) DO UPDATE
              SET cancel_requested_at = coalesce(run.cancel_requested_at, excluded.cancel_requested_at)
              WHERE run.ended_at IS NULL
        """),
        {"id": run_id, "at": at},
    )
    waiting = connection.execute(
        text("""
            UPDATE job SET cancel_requested_at = coalesce(cancel_requested_at, :at)
            WHERE state IN ('waiting', 'in_flight')
              AND id IN (SELECT job_id FROM ticket WHERE run_id = :run_id AND state = 'open')
              AND NOT EXISTS (
                SELECT 1 FROM ticket AS other
                WHERE other.job_id = job.id AND other.state = 'open'
                  AND other.run_id IS DISTINCT FROM :run_id)
            RETURNING id, attempt, state
        """),
        {"run_id": run_id, "at": at},
    ).all()
    moved = 0
    dropped = [row for row in waiting if row.state == JobState.WAITING]
    for start in range(0, len(dropped), _CANCEL_MAX):
        part = [
            cancelled(row.id, row.attempt, "its run was cancelled while the job was waiting")
            for row in dropped[start : start + _CANCEL_MAX]
        ]
        moved += len(moves.apply(connection, part, at=at, expected=JobState.WAITING))
    return moved, len(waiting) - len(dropped)
