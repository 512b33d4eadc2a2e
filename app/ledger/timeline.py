"""Everything that happened to a job or a batch. Reads, never locks.

Never a prompt, an answer or an address: states, counts, ids and times.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from app.policy.awaiting import Known, reader_name

#: What one timeline shows, at most.
ENTRIES_MAX: Final = 500
_TICKETS_MAX: Final = 20
#: Why a pack went when it did, by `app.policy.packing.Reason`.
_REASONS: Final = {
    "full": "a full pack",
    "lingered": "they had waited for long enough",
    "due": "one of them was due",
    "flushed": "somebody wanted them packed",
    "split": "half of a pack that was refused",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Something that happened."""

    at: datetime
    what: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """One job, one batch or one run, and what happened to it, in order."""

    kind: str
    id: UUID
    facts: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)


def of_job(connection: Connection, job_id: UUID) -> Timeline:
    """A job from its call site to whoever picked it up. Raises NoResultFound where there is none."""
    job = connection.execute(
        text("""
            SELECT id, state, tenant, endpoint, provider, account, model, tier, workload, subject,
                   key, attempt, attempts_max, outcome, error_code, on_failure,
                   as_of, published_at, admitted_at, ready_at, due_at, settled_at,
                   provider_request_id, result_id, cost_nano_usd, content_pruned_at,
                   (SELECT run_id FROM ticket WHERE job_id = job.id AND run_id IS NOT NULL
                    ORDER BY id LIMIT 1) AS run
            FROM job WHERE id = :id
        """),
        {"id": job_id},
    ).one()
    entries = _attempts(connection, job_id)
    entries += _tickets(connection, job)
    entries += _events(connection, "job_id", job_id)
    entries += _readers(connection, job.result_id) if job.result_id is not None else []
    entries += _news(connection, job_id)
    if job.content_pruned_at is not None:
        detail = "what was asked and answered is kept no longer"
        entries.append(Entry(at=job.content_pruned_at, what="content pruned", detail=detail))
    return Timeline(kind="job", id=job_id, facts=job._asdict(), entries=_ordered(entries))


def of_batch(connection: Connection, submission_id: UUID) -> Timeline:
    """A submission from its pack to its last settled line. Raises NoResultFound where there is none."""
    row = connection.execute(
        text("""
            SELECT submission.id, submission.state, submission.provider, submission.account,
                   pack.endpoint, pack.model, pack.jobs_count, pack.bytes_count, pack.reason,
                   submission.provider_batch_id, submission.provider_status,
                   submission.provider_done, submission.provider_total, submission.token,
                   submission.proof, submission.refusals, submission.downloads,
                   submission.last_error, submission.created_at, submission.sent_at,
                   submission.accepted_at, submission.observed_at, submission.poll_at,
                   submission.expires_at, submission.ended_at, submission.collected_at,
                   pack.id AS pack_id
            FROM submission JOIN pack ON pack.id = submission.pack_id WHERE submission.id = :id
        """),
        {"id": submission_id},
    ).one()
    facts = row._asdict()
    facts["jobs"] = _jobs_of_pack(connection, facts.pop("pack_id"))
    entries = _moments(row) + _events(connection, "submission_id", submission_id)
    return Timeline(kind="batch", id=submission_id, facts=facts, entries=_ordered(entries))


def _jobs_of_pack(connection: Connection, pack_id: UUID) -> dict[str, int]:
    rows = connection.execute(
        text("""
            SELECT job.state, count(*) AS jobs_count
            FROM pack_item JOIN job ON job.id = pack_item.job_id
            WHERE pack_item.pack_id = :id GROUP BY job.state ORDER BY job.state
        """),
        {"id": pack_id},
    )
    return {row.state: row.jobs_count for row in rows}


def _moments(row: Any, number: int | None = None) -> list[Entry]:
    """When a submission did what; `number` is the attempt that it stands for."""
    batch = row.provider_batch_id or "unknown yet"
    of = f"attempt {number}: " if number is not None else ""
    why = _REASONS.get(row.reason, row.reason)
    said = (
        (row.created_at, "packed", f"{of}{row.jobs_count:,} jobs: {why}"),
        (row.sent_at, "intent recorded", f"{of}the create goes out"),
        (row.accepted_at, "accepted", f"{of}{row.provider} batch {batch}"),
        (row.ended_at, "ended at the provider", f"{of}{row.provider_status or ''}"),
        (row.observed_at, "last good look", f"{of}{row.provider_status or ''}"),
        (row.collected_at, "collected", f"{of}every line settled"),
    )
    return [Entry(at=at, what=what, detail=detail) for at, what, detail in said if at is not None]


def _attempts(connection: Connection, job_id: UUID) -> list[Entry]:
    rows = connection.execute(
        text("""
            SELECT attempt.number, attempt.tier, attempt.outcome, attempt.error_code,
                   attempt.opened_at, attempt.settled_at, submission.id AS submission_id,
                   submission.provider, submission.provider_batch_id, submission.provider_status,
                   submission.created_at, submission.sent_at, submission.accepted_at,
                   submission.observed_at, submission.ended_at, submission.collected_at,
                   pack.jobs_count, pack.reason
            FROM attempt LEFT JOIN submission ON submission.id = attempt.submission_id
            LEFT JOIN pack ON pack.id = submission.pack_id
            WHERE attempt.job_id = :id ORDER BY attempt.number LIMIT :limit
        """),
        {"id": job_id, "limit": ENTRIES_MAX},
    )
    entries = []
    for row in rows:
        if row.submission_id is not None:
            entries += _moments(row, row.number)
        else:
            entries.append(Entry(at=row.opened_at, what="asked", detail=f"attempt {row.number}"))
        if row.settled_at is not None:
            outcome = ": ".join(part for part in (row.outcome, row.error_code) if part)
            detail = f"attempt {row.number}: {outcome}"
            entries.append(Entry(at=row.settled_at, what="answer settled", detail=detail))
    return entries


def _tickets(connection: Connection, job: Any) -> list[Entry]:
    rows = connection.execute(
        text("""
            SELECT ticket.task_id, ticket.origin, ticket.admitted_at, ticket.ready_at,
                   ticket.completed_at, ticket.picked_up_at, ticket.picked_up_by,
                   ticket.awaited_by, ticket.last_error,
                   ticket.follower_id, published.at AS published_at
            FROM ticket LEFT JOIN published ON published.task_id = ticket.follower_id
            WHERE ticket.job_id = :id ORDER BY ticket.id LIMIT :limit
        """),
        {"id": job.id, "limit": _TICKETS_MAX},
    ).all()
    known = [
        Known(**row._asdict())
        for row in connection.execute(
            text("SELECT workload, name, task FROM consumer WHERE workload = :workload"),
            {"workload": job.workload},
        )
    ]
    entries = [Entry(at=job.published_at, what="published", detail=_origin(rows))]
    for row in rows:
        reader = reader_name(row.awaited_by, known) if row.awaited_by else "nobody in particular"
        failed = f"; last tried in vain: {row.last_error}" if row.last_error else ""
        entries += [
            Entry(at=at, what=what, detail=f"task {row.task_id}{detail}")
            for at, what, detail in (
                (row.admitted_at, "admitted", ""),
                (row.completed_at, "completed", f": Celery knows{failed}"),
                (row.published_at, "follower published", f": {row.follower_id}"),
                (row.picked_up_at, *_picked_up(row.picked_up_by, reader)),
            )
            if at is not None
        ]
        if row.completed_at is not None and row.picked_up_at is None and row.awaited_by:
            detail = f"task {row.task_id}: {reader} has not picked it up"
            entries.append(Entry(at=row.completed_at, what="awaited", detail=detail))
    return entries


def _picked_up(decided_by: str | None, reader: str) -> tuple[str, str]:
    """What was read, and what only counts as read."""
    if decided_by is None:
        return "picked up", f" by {reader}"
    return "marked read", f" by {decided_by}: {reader} had not picked it up"


def _origin(rows: Sequence[Any]) -> str:
    """The call site: what kind of process, and which line."""
    for row in rows:
        if row.origin is not None:
            origin = json.loads(bytes(row.origin))
            if isinstance(origin, dict):
                task = f", task {origin['task']}" if origin.get("task") else ""
                return f"{origin.get('kind', 'somewhere')} at {origin.get('site', 'unknown')}{task}"
    return "call site unknown"


def _events(connection: Connection, column: str, found_id: UUID) -> list[Entry]:
    rows = connection.execute(
        text(f"""
            SELECT at, kind, attempt, detail FROM event WHERE {column} = :id
            ORDER BY id DESC LIMIT :limit
        """),  # noqa: S608 - one of two columns
        {"id": found_id, "limit": ENTRIES_MAX},
    )
    entries = []
    for row in rows:
        number = f"attempt {row.attempt}" if row.attempt is not None else ""
        detail = ": ".join(part for part in (number, row.detail) if part)
        entries.append(Entry(at=row.at, what=row.kind.replace("_", " "), detail=detail))
    return entries


def _readers(connection: Connection, result_id: UUID) -> list[Entry]:
    rows = connection.execute(
        text("""
            SELECT consumer, first_at FROM pick_up WHERE result_id = :id
            ORDER BY first_at LIMIT :limit
        """),
        {"id": result_id, "limit": ENTRIES_MAX},
    )
    return [
        Entry(
            at=row.first_at, what="read", detail=f"by {row.consumer or 'a reader without a name'}"
        )
        for row in rows
    ]


def _news(connection: Connection, job_id: UUID) -> list[Entry]:
    """Mails and webhooks about a job."""
    rows = connection.execute(
        text("""
            SELECT notification.kind, receiver, notification.state, notification.created_at,
                   notification.sent_at, notification.last_error
            FROM notification WHERE notification.job_id = :id
            ORDER BY created_at LIMIT :limit
        """),
        {"id": job_id, "limit": ENTRIES_MAX},
    )
    entries = []
    for row in rows:
        to = f" to {row.receiver}" if row.receiver else ""
        # A mail server's words may hold the address.
        told = row.last_error if row.receiver else None
        error = f": {told}" if told else ""
        entries.append(Entry(at=row.created_at, what=f"{row.kind} staged", detail=to.strip()))
        if row.sent_at is not None:
            entries.append(Entry(at=row.sent_at, what="notified", detail=f"{row.kind}{to}"))
        if row.state not in ("new", "done") or (
            row.sent_at is None and (row.state != "new" or error)
        ):
            entries.append(
                Entry(at=row.created_at, what=f"{row.kind} {row.state}", detail=f"{to}{error}")
            )
    return entries


def _ordered(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda one: one.at)[:ENTRIES_MAX]
