"""Tickets that a person's wish about results is about."""

from typing import Any, Final

from sqlalchemy import Connection

from app.ledger import unread
from app.ledger.subjects import jobs_of
from app.policy.subjects import Kind, Subject

_WHICH: Final = {
    Kind.JOB: "ticket.job_id = CAST(:id AS uuid)",
    Kind.KEY: "ticket.job_id IN (SELECT id FROM job WHERE key = :id)",
    Kind.SUBJECT: f"ticket.job_id IN ({jobs_of('id')})",
    Kind.TASK: "ticket.task_id = :id",
    # Its parts, and its own task.
    Kind.RUN: "ticket.id IN (SELECT id FROM ticket WHERE run_id = CAST(:id AS uuid)"
    " UNION SELECT id FROM ticket WHERE task_id = CAST(:id AS text))",
    # By the attempt as well: what has been given back and sent anew is in another batch.
    Kind.BATCH: """ticket.job_id IN (
        SELECT job.id FROM pack_item
        JOIN submission ON submission.pack_id = pack_item.pack_id
        JOIN job ON job.id = pack_item.job_id AND job.attempt = pack_item.attempt
        WHERE submission.id = CAST(:id AS uuid))""",
    Kind.CONSUMER: "ticket.awaited_by = ANY(:awaited)",
}


def which(connection: Connection, subject: Subject) -> tuple[str, dict[str, Any]]:
    """A condition on tickets, and its values."""
    if subject.kind is Kind.CONSUMER:
        return _WHICH[subject.kind], {"awaited": unread.awaited(connection, subject.id)}
    if subject.kind is not Kind.FILTER:
        return _WHICH[subject.kind], {"id": str(subject.id)}
    said = " AND ".join(f"wanted.{name} = :{name}" for name in sorted(subject.wanted))
    values: dict[str, Any] = dict(subject.wanted)
    condition = f"EXISTS (SELECT FROM job AS wanted WHERE wanted.id = ticket.job_id AND {said})"
    if subject.since is not None:
        condition += " AND ticket.completed_at >= :since"
        values["since"] = subject.since
    return condition, values
