"""Task ids that come again: what is the same call, what is another one, and what no ticket would wait for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from app.ledger import jobs
from app.ledger.sharing import Shared
from app.policy.admission import JobDraft

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
    """The tickets of these tasks, the oldest first."""
    rows = connection.execute(
        text("""
            SELECT ticket.task_id, ticket.context_digest, ticket.job_id, job.tenant, job.endpoint,
                   job.fingerprint
            FROM ticket LEFT JOIN job ON job.id = ticket.job_id
            WHERE ticket.task_id = ANY(CAST(:task_ids AS text[])) ORDER BY ticket.id
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
    asked: Sequence[tuple[Place, JobDraft | None]], there: Mapping[Place, Standing]
) -> list[bytes | None]:
    """Of each message: what tells it from the first call of its task, which asked something else; else None.

    Celery gives the last task of a chain the same id each time that the chain is applied. Only a key says that
    it is to be one job all the same.
    """
    refused = {place for place, one in there.items() if one.fingerprint is None}
    places = set(there)
    first: dict[str, bytes] = {}
    for (task_id, _), one in there.items():
        if one.fingerprint is not None:
            first.setdefault(task_id, one.fingerprint)
    found: list[bytes | None] = []
    for place, draft in asked:
        own = draft.fingerprint if draft is not None else None
        # A repetition of what was refused stays refused.
        may = draft is not None and draft.key is None and place not in refused
        is_another = may and first.get(place[0], own) != own
        found.append(own if is_another else None)
        # One whose place is taken gets no ticket: it is no call that anything is told from.
        if not is_another and place not in places:
            places.add(place)
            if own is None:
                refused.add(place)
            else:
                first.setdefault(place[0], own)
    return found


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
    found = jobs.known(connection, list(set(wanted.values())))
    shared = {}
    for draft_id, job_id in wanted.items():
        fingerprint, state = found[job_id]
        shared[draft_id] = Shared(job_id=job_id, fingerprint=fingerprint, state=state)
    return shared


def _shared(draft: JobDraft, there: Standing) -> bool:
    """Whether this call's task waits for another's job. One with a key never does: that names its own."""
    return (
        draft.key is None
        and there.job_id != draft.id
        and there.fingerprint == draft.fingerprint
        and (there.tenant, there.endpoint) == (draft.tenant, draft.endpoint)
    )
