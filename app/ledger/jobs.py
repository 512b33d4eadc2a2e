"""Jobs as they come into the ledger: inserted once, found again, or shared with identical ones."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from app.ledger import schema, sharing
from app.ledger.sharing import Shared
from app.policy.admission import JobDraft
from app.policy.lifecycle import JobState


def insert_jobs(
    connection: Connection, drafts: Sequence[JobDraft], *, at: datetime
) -> tuple[dict[UUID, tuple[bytes, JobState]], dict[UUID, Shared]]:
    """Fingerprint and state of each job, and the jobs under way that some join instead."""
    if not drafts:
        return {}, {}
    fresh = _insert(connection, drafts, at)
    states = {draft.id: (draft.fingerprint, JobState.WAITING) for draft in drafts}
    there = known(connection, [draft.id for draft in drafts if draft.id not in fresh])
    held_back = [draft for draft in drafts if draft.id not in fresh and draft.id not in there]
    joined = sharing.under_way(connection, held_back)
    # A flight that must not be joined, or that landed this very moment: these ask for themselves.
    alone = [
        replace(draft, sharing=replace(draft.sharing, flight=None))
        for draft in held_back
        if draft.id not in joined
    ]
    if alone:
        _insert(connection, alone, at)
    return states | there, joined


def _insert(connection: Connection, drafts: Sequence[JobDraft], at: datetime) -> set[UUID]:
    # In one order everywhere: two pumps that hold flights which the other wants would wait for ever. Those of
    # one flight as they came: the first of them asks for all.
    ordered = sorted(drafts, key=_order)
    rows = [_job_row(draft, at) for draft in ordered]
    statement = insert(schema.job).on_conflict_do_nothing().returning(schema.job.c.id)
    return {row.id for row in connection.execute(statement, rows)}


def _order(draft: JobDraft) -> tuple[bytes, bytes]:
    flight = draft.sharing.flight
    return (b"", draft.id.bytes) if flight is None else (flight, b"")


def known(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, tuple[bytes, JobState]]:
    """Fingerprints and states of jobs, none of which ends before this transaction does."""
    if not ids:
        return {}
    # FOR SHARE: a job that is being settled now is seen either as ended, or not before our ticket
    # is there to be made ready with the others.
    found = connection.execute(
        text("""
            SELECT id, fingerprint, state FROM job
            WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR SHARE
        """),
        {"ids": ids},
    )
    return {row.id: (bytes(row.fingerprint), JobState(row.state)) for row in found}


def _job_row(draft: JobDraft, at: datetime) -> dict[str, Any]:
    same = (
        "id tenant endpoint provider account model key fingerprint workload subject tier request "
        "request_bytes request_tokens request_inputs ceiling_nano_usd prefix_digest as_of published_at ready_at due_at effective_for_s attempts_max "
        "on_lost on_failure answer_schema"
    )
    row = {name: getattr(draft, name) for name in same.split()}
    return row | {
        "likeness": draft.sharing.likeness,
        "flight": draft.sharing.flight,
        "state": JobState.WAITING,
        "admitted_at": at,
    }


def request_of(connection: Connection, job_id: UUID) -> bytes | None:
    """What a job asks, as canonical JSON; None where there is no such job, or that was pruned."""
    found: bytes | None = connection.execute(
        text("SELECT request FROM job WHERE id = :id AND content_pruned_at IS NULL"), {"id": job_id}
    ).scalar_one_or_none()
    return bytes(found) if found is not None else None
