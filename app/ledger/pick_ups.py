"""Who has read which result, and which calls' results are no longer awaited.

Taking the same note in twice changes nothing. Published is not picked up: a consumer's run that ended well is, a
read is, and a webhook's 2xx is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from app.ledger.notifications import Due
from app.policy.awaiting import WEBHOOK
from unhurried.readers import Declaration, PickUp

#: Readers' clocks may run behind the ledger's by so much: what was read in that time before it was there was read.
_CLOCKS_DIFFER: Final = timedelta(minutes=1)

_PICKED_UP = text("""
    INSERT INTO pick_up (result_id, consumer, first_at, last_at)
    SELECT DISTINCT id, :consumer, CAST(:at AS timestamptz), CAST(:at AS timestamptz)
    FROM unnest(CAST(:ids AS uuid[])) AS m(id) ORDER BY id
    ON CONFLICT (result_id, consumer) DO UPDATE
      SET first_at = least(pick_up.first_at, excluded.first_at),
          last_at = greatest(pick_up.last_at, excluded.last_at)
""")

_SEEN = text("""
    INSERT INTO consumer (tenant, workload, name, max_staleness_s, owner, task, seen_at)
    VALUES (:tenant, :workload, :name, :max_staleness_s, :owner, :task, :at)
    ON CONFLICT (tenant, workload, name) DO UPDATE
      SET max_staleness_s = excluded.max_staleness_s, owner = excluded.owner,
          task = coalesce(excluded.task, consumer.task), seen_at = excluded.seen_at
      WHERE consumer.seen_at <= excluded.seen_at
""")

_PARTS = text("""
    SELECT DISTINCT job.result_id FROM ticket JOIN job ON job.id = ticket.job_id
    WHERE ticket.run_id = :run_id AND job.result_id IS NOT NULL
""")

# Locked in the order in which a completer closes them.
_NO_LONGER_AWAITED = text("""
    WITH read AS MATERIALIZED (
      SELECT ticket.id, ticket.run_id FROM job JOIN ticket ON ticket.job_id = job.id
      WHERE job.result_id = ANY(CAST(:ids AS uuid[]))
    ), wanted AS MATERIALIZED (
      SELECT id FROM read
      UNION
      SELECT id FROM ticket WHERE task_id IN (
        SELECT CAST(run_id AS text) FROM read WHERE run_id IS NOT NULL AND :of_runs
        UNION SELECT :run_task
      )
    ), found AS (
      SELECT ticket.id FROM ticket JOIN wanted ON wanted.id = ticket.id
      -- What only counts as read by a person's decision is read now.
      WHERE (picked_up_at IS NULL OR picked_up_by IS NOT NULL) AND awaited_by IS NOT NULL
        AND ready_at <= :readable_at
      ORDER BY ticket.id FOR UPDATE OF ticket
    )
    UPDATE ticket SET picked_up_at = :at, picked_up_by = NULL FROM found WHERE ticket.id = found.id
""")

_RESULTS_BEFORE = text("""
    SELECT job.result_id FROM ticket JOIN job ON job.id = ticket.job_id
    WHERE ticket.follower_id = :task_id AND job.result_id IS NOT NULL
    UNION
    SELECT job.result_id FROM ticket JOIN job ON job.id = ticket.job_id
    WHERE ticket.task_id = :parent_id AND ticket.awaited_by = :reader AND NOT ticket.in_chord
      AND job.result_id IS NOT NULL
""")


def record(connection: Connection, notes: Sequence[PickUp], *, at: datetime) -> int:
    """Record what was read, and the consumers as last declared; how many results were named.

    A reader's clock that runs ahead of the ledger's is taken for the ledger's.
    """
    count = 0
    for note in notes:
        moment = min(note.picked_up_at, at)
        name = note.consumer.name if note.consumer is not None else ""
        if note.consumer is not None:
            _seen(connection, note.consumer, moment)
        # A function that consumes was given the whole run; a page reads one part of it.
        whole = note.consumer is not None and note.consumer.task is not None
        read = _Read(note.result_ids, note.run_id, of_runs=whole)
        count += _picked_up(connection, read, consumer=name, at=moment)
    return count


def taken_by_webhook(connection: Connection, receiver: str, due: Due, *, at: datetime) -> int:
    """A receiver has said 2xx: the results that its webhook told of are picked up; how many they are.

    Those of one job (`notify=`), of a run, or of the canvas that the webhook's own task follows.
    """
    reader = f"{WEBHOOK}{receiver}"
    read = _Read(())
    if due.job_id is not None:
        read = _Read(_result_of(connection, due.job_id))
    elif due.ticket_id is not None:
        read = _Read(_results_before(connection, due.ticket_id, reader))
    elif due.payload.get("about", {}).get("group"):
        read = _Read((), run_id=UUID(due.payload["about"]["task_id"]))
    return _picked_up(connection, read, consumer=reader, at=at)


def _result_of(connection: Connection, job_id: UUID) -> Sequence[UUID]:
    rows = connection.execute(
        text("SELECT result_id FROM job WHERE id = :id AND result_id IS NOT NULL"), {"id": job_id}
    )
    return rows.scalars().all()


def _results_before(connection: Connection, ticket_id: int, reader: str) -> Sequence[UUID]:
    """What the canvas had before a webhook's own task: a chord's header, the step or call before."""
    asked = connection.execute(
        text("SELECT task_id, headers FROM ticket WHERE id = :id"), {"id": ticket_id}
    ).one()
    parent_id = json.loads(bytes(asked.headers)).get("parent_id")
    rows = connection.execute(
        _RESULTS_BEFORE,
        {
            "task_id": asked.task_id,
            "parent_id": parent_id if isinstance(parent_id, str) else None,
            "reader": reader,
        },
    )
    return rows.scalars().all()


@dataclass(frozen=True, slots=True)
class _Read:
    """What a note names."""

    result_ids: Sequence[UUID]
    run_id: UUID | None = None
    of_runs: bool = False


def _picked_up(connection: Connection, read: _Read, *, consumer: str, at: datetime) -> int:
    ids = set(read.result_ids)
    if read.run_id is not None:
        ids |= set(connection.execute(_PARTS, {"run_id": read.run_id}).scalars())
    if not ids and read.run_id is None:
        return 0
    connection.execute(_PICKED_UP, {"ids": sorted(ids), "consumer": consumer, "at": at})
    connection.execute(
        _NO_LONGER_AWAITED,
        {
            "ids": sorted(ids),
            "of_runs": read.of_runs,
            "run_task": str(read.run_id) if read.run_id is not None else None,
            "readable_at": at + _CLOCKS_DIFFER,
            "at": at,
        },
    )
    return len(ids)


def _seen(connection: Connection, consumer: Declaration, at: datetime) -> None:
    connection.execute(_SEEN, {**consumer.model_dump(), "at": at})
