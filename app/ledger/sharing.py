"""Jobs that a call may share without naming them: answered ones to reuse, ones under way to join."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from app.policy.admission import JobDraft
from app.policy.lifecycle import JobState
from app.policy.sharing import may_join, may_reuse


@dataclass(frozen=True, kw_only=True, slots=True)
class Shared:
    """The job that stands for the one a call would have made."""

    job_id: UUID
    #: What it asks: a task that comes again with another request does not share it.
    fingerprint: bytes
    state: JobState


def answered(
    connection: Connection, drafts: Sequence[JobDraft], *, at: datetime
) -> dict[UUID, Shared]:
    """Answers to reuse, by the draft's id: the newest by `as_of`, of the same tenant."""
    wanted = [draft for draft in drafts if draft.sharing.reuse_within is not None]
    if not wanted:
        return {}
    rows = connection.execute(
        text("""
            SELECT DISTINCT ON (job.tenant, job.likeness)
                   job.id, job.tenant, job.likeness, job.fingerprint, job.as_of, job.effective_until
            FROM job JOIN unnest(CAST(:tenants AS text[]), CAST(:likenesses AS bytea[]))
              AS m(tenant, likeness) ON job.tenant = m.tenant AND job.likeness = m.likeness
            WHERE job.state = 'succeeded'
            ORDER BY job.tenant, job.likeness, job.as_of DESC
        """),
        {
            "tenants": [draft.tenant for draft in wanted],
            "likenesses": [draft.sharing.likeness for draft in wanted],
        },
    )
    newest = {(row.tenant, bytes(row.likeness)): row for row in rows}
    found = {}
    for draft in wanted:
        row = newest.get((draft.tenant, draft.sharing.likeness or b""))
        if row is not None and may_reuse(
            draft.sharing,
            effective_for_s=draft.effective_for_s,
            as_of=row.as_of,
            effective_until=row.effective_until,
            now=at,
        ):
            found[draft.id] = Shared(
                job_id=row.id, fingerprint=bytes(row.fingerprint), state=JobState.SUCCEEDED
            )
    return found


def under_way(connection: Connection, drafts: Sequence[JobDraft]) -> dict[UUID, Shared]:
    """Jobs to join, by the draft's id. They cannot be settled before this transaction has ended."""
    if not drafts:
        return {}
    rows = connection.execute(
        text("""
            SELECT job.id, job.tenant, job.flight, job.fingerprint, job.due_at, job.state,
                   job.cancel_requested_at IS NOT NULL AS cancel_requested
            FROM job
            WHERE flight = ANY(CAST(:flights AS bytea[])) AND state IN ('waiting', 'in_flight')
            ORDER BY id FOR SHARE
        """),
        {"flights": [draft.sharing.flight for draft in drafts]},
    )
    flying = {(row.tenant, bytes(row.flight)): row for row in rows}
    found = {}
    for draft in drafts:
        row = flying.get((draft.tenant, draft.sharing.flight or b""))
        if row is not None and may_join(
            wanted_due_at=draft.due_at, due_at=row.due_at, cancel_requested=row.cancel_requested
        ):
            found[draft.id] = Shared(
                job_id=row.id, fingerprint=bytes(row.fingerprint), state=JobState(row.state)
            )
    return found
