"""Tickets whose end is known and that Celery has not been told of: the outbox of completion."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from app.policy.ends import JobEnd
from app.policy.telling_again import REVOKED
from app.policy.tickets import TicketState
from unhurried.contract import Tier


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """How a ticket's job came to its end, for those who watch."""

    provider: str
    #: None where the job is another call's, made before this one.
    published_at: datetime | None
    #: Of the last attempt; None where that was no part of a batch.
    submission_id: UUID | None
    provider_batch_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadyTicket:
    """A ticket to be completed, with everything Celery and the caller need of it."""

    id: int
    task_id: str
    task_name: str
    #: With the task's id, what tells it from every other ticket, in any copy of the ledger.
    context_digest: bytes
    generation: int
    attempts: int
    headers: bytes
    properties: bytes
    body: bytes = field(repr=False)
    content_type: str
    content_encoding: str
    on_failure: str
    #: A ready-made end as JSON; None where the job's columns tell it.
    end: bytes | None
    job: JobEnd | None
    tenant: str = "default"
    admitted_at: datetime | None = None
    ready_at: datetime | None = None
    #: Told only of tickets that are taken to be completed, and that have a job.
    course: Course | None = None

    @property
    def name(self) -> str:
        """What it is called wherever its number would not do: a restored ledger gives numbers anew."""
        return f"{self.task_id}/{bytes(self.context_digest).hex()[:16]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A ticket that somebody asks for by its task id."""

    ticket: ReadyTicket
    state: TicketState
    tier: str
    published_at: datetime


_TICKET = [column.name for column in fields(ReadyTicket) if column.name not in {"job", "course"}]
_JOB = [column.name for column in fields(JobEnd) if column.name != "job_id"]

_CLAIM = text(f"""
    -- Materialized, or the plan may run it again for each row, and take more than the limit.
    WITH free AS MATERIALIZED (
      SELECT id FROM ticket
      WHERE state = 'ready' AND (leased_until IS NULL OR leased_until < :at)
      ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), taken AS (
      UPDATE ticket SET leased_until = :until, attempts = attempts + 1
      WHERE id IN (SELECT id FROM free)
      RETURNING {", ".join(f'"{name}"' for name in _TICKET)}, job_id
    )
    SELECT {", ".join(f'taken."{name}" AS ticket_{name}' for name in _TICKET)}, taken.job_id,
           {", ".join(f"job.{name} AS job_{name}" for name in _JOB)}, job.provider,
           CASE WHEN job.admitted_at = taken.admitted_at THEN job.published_at END AS published_at,
           attempt.submission_id, submission.provider_batch_id
    FROM taken LEFT JOIN job ON job.id = taken.job_id
    LEFT JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempt
    LEFT JOIN submission ON submission.id = attempt.submission_id
    ORDER BY taken.id
""")  # noqa: S608 - column names are constants of this module


def claim(
    connection: Connection, *, at: datetime, lease: timedelta, limit: int
) -> list[ReadyTicket]:
    """Take ready tickets; nobody else takes them until the lease is over."""
    rows = connection.execute(_CLAIM, {"at": at, "until": at + lease, "limit": limit})
    return [replace(_read(row), course=_course(row)) for row in rows.all()]


def _course(row: Row[Any]) -> Course | None:
    if row.provider is None:
        return None
    return Course(
        provider=row.provider,
        published_at=row.published_at,
        submission_id=row.submission_id,
        provider_batch_id=row.provider_batch_id,
    )


def with_canvas(connection: Connection, ticket_id: int) -> ReadyTicket | None:
    """One ticket with its canvas, whatever its state; its job's end is left out."""
    row = connection.execute(
        text(f"""
            SELECT {", ".join(f'"{name}"' for name in _TICKET)} FROM ticket WHERE id = :id
        """),  # noqa: S608 - column names are constants of this module
        {"id": ticket_id},
    ).one_or_none()
    return ReadyTicket(**row._asdict(), job=None) if row else None


def _read(row: Any) -> ReadyTicket:
    job = None
    if row.job_id is not None and row.job_endpoint is not None:
        job = JobEnd(job_id=row.job_id, **{name: getattr(row, f"job_{name}") for name in _JOB})
    return ReadyTicket(**{name: getattr(row, f"ticket_{name}") for name in _TICKET}, job=job)


#: A ticket without its job's end, for the statements of neighbours; read with `without_end`.
COLUMNS = ", ".join(f'ticket."{name}" AS ticket_{name}' for name in _TICKET)


def without_end(row: Any) -> ReadyTicket:
    """The ticket of a row that has COLUMNS."""
    return ReadyTicket(**{name: getattr(row, f"ticket_{name}") for name in _TICKET}, job=None)


_FOUND = f"""
    SELECT {", ".join(f'ticket."{name}" AS ticket_{name}' for name in _TICKET)}, ticket.job_id,
           {", ".join(f"job.{name} AS job_{name}" for name in _JOB)},
           ticket.state, coalesce(job.published_at, ticket.admitted_at) AS published_at
    FROM ticket LEFT JOIN job ON job.id = ticket.job_id
"""  # noqa: S608 - column names are constants of this module
_FIND = text(f"""
    {_FOUND} WHERE ticket.task_id = :task_id
    ORDER BY ticket.state = 'completed' DESC, ticket.id LIMIT 1
""")


def find(connection: Connection, task_id: str) -> Found | None:
    """The ticket of a task, a completed one first: one task id may stand in several canvases."""
    row = connection.execute(_FIND, {"task_id": task_id}).one_or_none()
    return _found(row) if row is not None else None


def by_ids(connection: Connection, ticket_ids: Sequence[int]) -> dict[int, Found]:
    """Tickets with their ends, by their ids."""
    rows = connection.execute(
        text(f"{_FOUND} WHERE ticket.id = ANY(CAST(:ids AS bigint[]))"), {"ids": list(ticket_ids)}
    )
    return {row.ticket_id: _found(row) for row in rows}


def _found(row: Any) -> Found:
    return Found(
        ticket=_read(row),
        state=TicketState(row.state),
        tier=row.job_tier or Tier.BATCH,
        published_at=row.published_at,
    )


def let_go(
    connection: Connection, task_ids: Sequence[str], end: bytes, *, at: datetime
) -> list[UUID]:
    """End open tickets of these tasks by themselves, whatever becomes of their jobs; those jobs.

    A mail or webhook that such a task asked for is not sent, unless it is being sent: then its ticket
    stays as it is. May be repeated.
    """
    connection.execute(
        text("""
            UPDATE notification SET state = 'dead', last_error = :reason
            WHERE state = 'new' AND ticket_id IN (
              SELECT id FROM ticket WHERE task_id = ANY(:ids) AND state = 'open')
        """),
        {"ids": list(task_ids), "reason": REVOKED},
    )
    rows = connection.execute(
        text("""
            UPDATE ticket SET state = 'ready', ready_at = :at, "end" = :end
            WHERE task_id = ANY(:ids) AND state = 'open' AND (
              job_id IS NOT NULL OR EXISTS (SELECT 1 FROM notification
                WHERE notification.ticket_id = ticket.id AND notification.state = 'dead'))
            RETURNING job_id
        """),
        {"ids": list(task_ids), "end": end, "at": at},
    )
    return [row.job_id for row in rows if row.job_id is not None]


def awaiting(connection: Connection, job_id: UUID, *, limit: int) -> list[str]:
    """Task ids that wait for a job."""
    rows = connection.execute(
        text("SELECT task_id FROM ticket WHERE job_id = :id AND state = 'open' LIMIT :limit"),
        {"id": job_id, "limit": limit},
    )
    return list(rows.scalars())


def tasks_of(connection: Connection, job_id: UUID, *, limit: int) -> list[str]:
    """Task ids that stand for a job, the first to ask first."""
    rows = connection.execute(
        text("SELECT task_id FROM ticket WHERE job_id = :id ORDER BY id LIMIT :limit"),
        {"id": job_id, "limit": limit},
    )
    return list(rows.scalars())


def completed(connection: Connection, done: Sequence[tuple[int, int]], *, at: datetime) -> None:
    """Close tickets by (id, generation): a ticket that was readied anew meanwhile stays ready."""
    connection.execute(
        text("""
            -- Locked by id, as by whoever notes what was read of them: or each would wait for the other.
            WITH told AS MATERIALIZED (
              SELECT ticket.id FROM ticket
              JOIN unnest(CAST(:ids AS bigint[]), CAST(:generations AS int[])) AS m(id, generation)
                ON ticket.id = m.id AND ticket.generation = m.generation
              WHERE ticket.state = 'ready' ORDER BY ticket.id FOR UPDATE OF ticket
            )
            UPDATE ticket SET state = 'completed', completed_at = :at, leased_until = NULL,
                              last_error = NULL,
                              -- Of a job that failed there is no result that anybody could read, nor
                              -- of one whose answer is kept no longer.
                              awaited_by = CASE WHEN job_id IS NULL OR EXISTS (
                                SELECT FROM job
                                WHERE job.id = ticket.job_id AND job.state = 'succeeded'
                                  AND job.content_pruned_at IS NULL
                              ) THEN awaited_by END
            FROM told WHERE ticket.id = told.id
        """),
        {
            "ids": [ticket_id for ticket_id, _ in done],
            "generations": [generation for _, generation in done],
            "at": at,
        },
    )


def postpone(connection: Connection, ticket_id: int, *, until: datetime, reason: str) -> None:
    """Leave a ticket ready and try it again at `until`: Redis could not be told now."""
    connection.execute(
        text("UPDATE ticket SET leased_until = :until, last_error = :reason WHERE id = :id"),
        {"id": ticket_id, "until": until, "reason": reason},
    )


def ready_count(connection: Connection) -> int:
    """Tickets that Celery has not been told of."""
    count: int = connection.execute(
        text("SELECT count(*) FROM ticket WHERE state = 'ready'")
    ).scalar_one()
    return count


def sweep(connection: Connection, *, at: datetime, limit: int = 1000) -> int:
    """Make tickets ready whose job has ended without them; how many there were."""
    return connection.execute(
        text("""
            UPDATE ticket SET state = 'ready', ready_at = :at
            WHERE id IN (
              SELECT ticket.id FROM ticket JOIN job ON job.id = ticket.job_id
              WHERE ticket.state = 'open'
                AND job.state IN ('succeeded', 'failed', 'expired', 'cancelled')
              LIMIT :limit
            )
        """),
        {"at": at, "limit": limit},
    ).rowcount


def open_chords(connection: Connection, *, limit: int = 10_000) -> list[str]:
    """Group ids of chords that still wait for a ticket of ours, for keeping their counters alive."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT group_id FROM ticket
            WHERE in_chord AND state <> 'completed' AND group_id IS NOT NULL LIMIT :limit
        """),
        {"limit": limit},
    )
    return list(rows.scalars())
