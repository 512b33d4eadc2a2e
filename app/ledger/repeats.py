"""Task ids that come again: their first call stands, and nothing is asked that no ticket would wait for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from app.ledger.sharing import Shared
from app.policy.admission import JobDraft
from app.policy.lifecycle import JobState

#: What a ticket is unique by: a task id, and the digest of the canvas around it.
Place = tuple[str, bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What a ticket waits for that is there already; no job where it was refused, or asks for a notification."""

    job_id: UUID | None
    tenant: str | None = None
    endpoint: str | None = None
    #: Of the job's request.
    fingerprint: bytes | None = None


def standing(connection: Connection, task_ids: Sequence[str]) -> dict[Place, Standing]:
    """The tickets of these tasks."""
    rows = connection.execute(
        text("""
            SELECT ticket.task_id, ticket.context_digest, ticket.job_id, job.tenant, job.endpoint,
                   job.fingerprint
            FROM ticket LEFT JOIN job ON job.id = ticket.job_id
            WHERE ticket.task_id = ANY(CAST(:task_ids AS text[]))
        """),
        {"task_ids": list(task_ids)},
    )
    return {
        (row.task_id, bytes(row.context_digest)): Standing(
            job_id=row.job_id,
            tenant=row.tenant,
            endpoint=row.endpoint,
            fingerprint=bytes(row.fingerprint) if row.fingerprint is not None else None,
        )
        for row in rows
    }


def uses(
    connection: Connection,
    asked: Sequence[tuple[Place, JobDraft | None]],
    there: Mapping[Place, Standing],
) -> list[bytes | None]:
    """Of each message: what tells it from an earlier call of its task that asked something else; None of the first.

    Celery gives the last task of a chain the same id each time that the chain is applied. Only a key says that
    it is to be one job all the same.
    """
    drafts = [draft for _, draft in asked if draft is not None]
    jobs = _fingerprints(connection, [draft.id for draft in drafts])
    places = {place: one.fingerprint for place, one in there.items()}
    found: list[bytes | None] = []
    for place, draft in asked:
        own = draft.fingerprint if draft is not None else None
        is_another = (
            draft is not None
            and draft.key is None
            and bool({jobs.get(draft.id, own), places.get(place, own)} - {own, None})
        )
        found.append(own if is_another else None)
        if not is_another:
            places.setdefault(place, own)
        if not is_another and draft is not None:
            jobs.setdefault(draft.id, draft.fingerprint)
    return found


def _fingerprints(connection: Connection, job_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    rows = connection.execute(
        text("SELECT id, fingerprint FROM job WHERE id = ANY(CAST(:ids AS uuid[]))"),
        {"ids": list(job_ids)},
    )
    return {row.id: bytes(row.fingerprint) for row in rows}


def in_vain(
    asked: Iterable[tuple[Place, JobDraft | None]], there: Mapping[Place, Standing]
) -> Iterator[bool]:
    """Of each message, in the order of their arrival: whether it asks for a job that none would wait for.

    Its task has a ticket in the same canvas that waits for another job (another key), or for none (it was
    refused). A copy of the message that made the ticket asks for the same job, or shares the one that it
    waits for: that is not in vain.
    """
    seen = dict(there)
    for place, draft in asked:
        own = Standing(job_id=draft.id if draft is not None else None)
        holds = seen.setdefault(place, own)
        yield draft is not None and holds.job_id != draft.id and not _shared(draft, holds)


def shared_before(
    connection: Connection,
    drafts: Iterable[tuple[str, JobDraft]],
    there: Mapping[Place, Standing],
) -> dict[UUID, Shared]:
    """What earlier calls of these tasks share already: a message that comes twice asks nothing.

    `drafts` are (task id, draft).
    """
    tasks: dict[str, list[Standing]] = {}
    for (task_id, _), one in there.items():
        tasks.setdefault(task_id, []).append(one)
    wanted = {
        draft.id: one.job_id
        for task_id, draft in drafts
        for one in tasks.get(task_id, ())
        if one.job_id is not None and _shared(draft, one)
    }
    found = _locked(connection, set(wanted.values()))
    return {draft_id: found[job_id] for draft_id, job_id in wanted.items()}


def _shared(draft: JobDraft, there: Standing) -> bool:
    """Whether this call's task waits for another's job. One with a key never does: that names its own."""
    return (
        draft.key is None
        and there.job_id != draft.id
        and there.fingerprint == draft.fingerprint
        and (there.tenant, there.endpoint) == (draft.tenant, draft.endpoint)
    )


def _locked(connection: Connection, ids: set[UUID]) -> dict[UUID, Shared]:
    if not ids:
        return {}
    rows = connection.execute(
        text("""
            SELECT id, fingerprint, state FROM job
            WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR SHARE
        """),
        {"ids": list(ids)},
    )
    return {
        row.id: Shared(job_id=row.id, fingerprint=bytes(row.fingerprint), state=JobState(row.state))
        for row in rows
    }
