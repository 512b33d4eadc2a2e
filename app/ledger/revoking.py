"""Tasks that were revoked: remembered for messages that are not here yet, honoured for those that are."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from app.ledger import changing, moves, runs, tickets
from app.policy.lifecycle import JobState, cancelled
from app.policy.tickets import REVOKED, ended_with
from unhurried.run_wire import RUN_TASK

#: Longer than any message waits to be admitted; and how many are remembered, whoever's they are.
REMEMBERED_FOR: Final = timedelta(days=8)
REMEMBERED_MAX: Final = 100_000
#: A message that was admitted while its revoke was noted is found again within this time.
_OVERLAP: Final = timedelta(hours=1)


def note(connection: Connection, task_ids: Collection[str], *, at: datetime) -> None:
    """Remember that these are revoked. May be repeated."""
    connection.execute(
        text("""
            INSERT INTO revoked (task_id, at)
            SELECT DISTINCT id, CAST(:at AS timestamptz) FROM unnest(CAST(:ids AS text[])) AS m(id)
            ON CONFLICT DO NOTHING
        """),
        {"ids": list(task_ids), "at": at},
    )


def among(connection: Connection, task_ids: Sequence[str]) -> set[str]:
    """Those of these tasks that are revoked."""
    rows = connection.execute(
        text("SELECT task_id FROM revoked WHERE task_id = ANY(CAST(:ids AS text[]))"),
        {"ids": list(task_ids)},
    )
    return set(rows.scalars())


def unhonoured(connection: Connection, *, at: datetime, limit: int) -> list[str]:
    """Tasks that were revoked lately and still wait: their messages came at the same moment."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT ticket.task_id FROM revoked
            JOIN ticket ON ticket.task_id = revoked.task_id AND ticket.state = 'open'
            WHERE revoked.at >= :since LIMIT :limit
        """),
        {"since": at - _OVERLAP, "limit": limit},
    )
    return list(rows.scalars())


def honour(connection: Connection, task_ids: Sequence[str], *, at: datetime) -> int:
    """End these tasks as revoked, with the jobs that nobody else waits for; how many tickets that were.

    A job in flight comes to its end, and its answer is kept. The task of a run stands for the run.
    """
    own = connection.execute(
        text("SELECT DISTINCT task_id FROM ticket WHERE task_id = ANY(:ids) AND task_name = :name"),
        {"ids": list(task_ids), "name": RUN_TASK},
    )
    for run_id in own.scalars():
        runs.cancel(connection, UUID(run_id), at=at)
    # Jobs before their tickets, as everybody who settles takes them: none waits for the other.
    connection.execute(
        text("""
            SELECT id FROM job WHERE id IN (SELECT job_id FROM ticket WHERE task_id = ANY(:ids))
            ORDER BY id FOR UPDATE
        """),
        {"ids": list(task_ids)},
    )
    job_ids = tickets.let_go(connection, task_ids, ended_with(REVOKED, REVOKED), at=at)
    _drop_unawaited(connection, job_ids, at)
    return len(job_ids)


def _drop_unawaited(connection: Connection, job_ids: Sequence[UUID], at: datetime) -> None:
    """End held jobs that no task waits for any more."""
    # A statement of its own: a ticket that came before the rows could be held is seen by it.
    rows = connection.execute(
        text("""
            SELECT id, attempt, state FROM job
            WHERE id = ANY(CAST(:ids AS uuid[])) AND state IN ('waiting', 'in_flight')
              AND NOT EXISTS (SELECT 1 FROM ticket WHERE job_id = job.id AND state = 'open')
        """),
        {"ids": list(job_ids)},
    ).all()
    waiting = [row for row in rows if row.state == JobState.WAITING]
    ends = [cancelled(row.id, row.attempt, "its task was revoked") for row in waiting]
    moves.apply(connection, ends, at=at, expected=JobState.WAITING)
    changing.ask_to_end(connection, {row.id for row in rows} - {row.id for row in waiting}, at=at)


def prune(connection: Connection, *, at: datetime) -> int:
    """Forget what no message can mean any more; how many there were."""
    return connection.execute(
        text("""
            DELETE FROM revoked WHERE at < :before OR task_id IN (
              SELECT task_id FROM revoked ORDER BY at DESC OFFSET :most)
        """),
        {"before": at - REMEMBERED_FOR, "most": REMEMBERED_MAX},
    ).rowcount
