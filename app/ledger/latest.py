"""The newest answer of a workload about a subject. Reads and never locks."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.policy.lifecycle import JobState


@dataclass(frozen=True, kw_only=True, slots=True)
class Newest:
    """The job that a reader of the newest answer is told of."""

    as_of: datetime
    #: A completed task of the job; None while nothing is answered.
    task_id: str | None


def find(
    connection: Connection, *, tenant: str, workload: str, subject: str | None
) -> Newest | None:
    """The newest answer by `as_of`; a job without one where there is none; None where there is no job."""
    about = {"tenant": tenant, "workload": workload, "subject": subject}
    row = connection.execute(
        text(f"""
            SELECT job.as_of, job.state,
                   (SELECT task_id FROM ticket
                    WHERE job_id = job.id AND state = 'completed' ORDER BY id LIMIT 1) AS task_id
            FROM job
            WHERE tenant = :tenant AND workload = :workload
              AND {"subject = :subject" if subject is not None else "subject IS NULL"}
            ORDER BY state = 'succeeded' DESC, as_of DESC LIMIT 1
        """),  # noqa: S608 - one of two constants
        about,
    ).one_or_none()
    if row is None:
        return None
    answered = row.state == JobState.SUCCEEDED
    return Newest(as_of=row.as_of, task_id=row.task_id if answered else None)
