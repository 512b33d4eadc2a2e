"""What a name in a person's hand stands for. Reads, never locks."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from app.ledger.subjects import jobs_of
from app.policy.names import parse_custom_id, parse_uuid

#: What one name may stand for, at most.
CANDIDATES_MAX: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A job, a submission or a run that a name stands for."""

    #: job, batch or run.
    kind: str
    id: UUID
    #: By what it was found.
    found_by: str
    state: str
    workload: str | None = None
    subject: str | None = None


_JOB_BY: Final = {
    "job id": "job.id = CAST(:uuid AS uuid)",
    "result id": "job.result_id = CAST(:uuid AS uuid)",
    "custom_id": "job.id = CAST(:custom AS uuid)",
    "task id": "job.id IN (SELECT job_id FROM ticket WHERE task_id = :name)",
    "key": "job.key = :name",
    "subject": f"job.id IN ({jobs_of('name', newest='limit')})",
    "provider request id": "job.provider_request_id = :name",
}
_BATCH_BY: Final = {
    "batch": "submission.id = CAST(:uuid AS uuid)",
    "provider batch id": "submission.provider_batch_id = :name",
    "token": "submission.token = :name",
}


def find(connection: Connection, name: str) -> list[Candidate]:
    """What a name stands for: a job's id, task, key, subject, custom_id, request; a batch; or a run. May be several."""
    custom = parse_custom_id(name)
    values = {
        "name": name,
        "uuid": parse_uuid(name),
        "custom": str(custom.job_id) if custom is not None else None,
        "limit": CANDIDATES_MAX,
    }
    found: dict[UUID, Candidate] = {}
    for found_by, condition in _JOB_BY.items():
        rows = connection.execute(
            text(f"""
                SELECT job.id, job.state, job.workload, job.subject FROM job WHERE {condition}
                ORDER BY job.admitted_at DESC LIMIT :limit
            """),  # noqa: S608 - conditions of this module
            values,
        )
        for row in rows:
            one = Candidate(kind="job", found_by=found_by, **row._asdict())
            found.setdefault(row.id, one)
    for found_by, condition in _BATCH_BY.items():
        rows = connection.execute(
            text(f"SELECT id, state FROM submission WHERE {condition} LIMIT :limit"),  # noqa: S608 - as above
            values,
        )
        for row in rows:
            one = Candidate(kind="batch", found_by=found_by, **row._asdict())
            found.setdefault(row.id, one)
    if values["uuid"] is not None:
        run = connection.execute(
            text("""
                SELECT id, workload, CASE WHEN ended_at IS NULL THEN 'open' ELSE 'ended' END AS state
                FROM run WHERE id = CAST(:uuid AS uuid)
            """),
            values,
        ).one_or_none()
        if run is not None:
            found.setdefault(run.id, Candidate(kind="run", found_by="run id", **run._asdict()))
    return list(found.values())[:CANDIDATES_MAX]
