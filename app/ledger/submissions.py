"""Submissions: the intent before the money is spent, and everything learned about it afterwards."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, text, tuple_, update
from sqlalchemy.engine import Row

from app.ledger import schema
from app.policy.lifecycle import SubmissionState


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A submission and what its pack says of it."""

    id: UUID
    token: str
    pack_id: UUID
    attempt: int
    provider: str
    account: str
    workspace: str
    endpoint: str
    model: str
    state: SubmissionState
    jobs_count: int
    sha256: str | None
    file_id: str | None
    provider_batch_id: str | None
    proof: str | None
    provider_status: str | None
    created_at: datetime
    accepted_at: datetime | None
    observed_at: datetime | None
    downloads: int
    refusals: int
    #: When nobody waited for anything in it any more, and when the provider took our wish to end it.
    cancel_requested_at: datetime | None
    cancelled_at: datetime | None

    @property
    def is_on_trial(self) -> bool:
        """Whether its batch was adopted because nothing else could be it: its results have still to say."""
        return self.state is SubmissionState.ACCEPTED and self.proof is None


_OWN = (
    "id token pack_id attempt provider account workspace state sha256 file_id provider_batch_id "
    "proof provider_status created_at accepted_at observed_at downloads refusals "
    "cancel_requested_at cancelled_at"
)
_COLUMNS = (
    *(schema.submission.c[name] for name in _OWN.split()),
    schema.pack.c.endpoint,
    schema.pack.c.model,
    schema.pack.c.jobs_count,
)


def _read(row: Row[Any]) -> Submission:
    return Submission(**{**row._asdict(), "state": SubmissionState(row.state)})


def to_hand_over(
    connection: Connection,
    *,
    at: datetime,
    closed: Collection[tuple[str, str]] = (),
    limit: int = 100,
) -> list[Submission]:
    """Submissions that may be sent at `at`, oldest first; those of paused lanes are left out.

    So are those of `closed` accounts (provider, account).
    """
    table = schema.submission
    paused = (
        select(schema.lane.c.provider)
        .where(schema.lane.c.provider == table.c.provider)
        .where(schema.lane.c.account == table.c.account)
        .where(schema.lane.c.model.in_(["", schema.pack.c.model]))
        .where(schema.lane.c.paused_at.is_not(None))
        .exists()
    )
    rows = connection.execute(
        select(*_COLUMNS)
        .join(schema.pack, schema.pack.c.id == table.c.pack_id)
        .where(table.c.state.in_([SubmissionState.PLANNED, SubmissionState.UPLOADED]))
        .where((table.c.not_before.is_(None)) | (table.c.not_before <= at))
        .where(~paused)
        .where(tuple_(table.c.provider, table.c.account).not_in(list(closed)))
        .order_by(table.c.created_at)
        .limit(limit)
    )
    return [_read(row) for row in rows]


def to_poll(connection: Connection, *, at: datetime, limit: int = 500) -> list[Submission]:
    """Accepted submissions whose next look is due at `at`, the most overdue first."""
    table = schema.submission
    rows = connection.execute(
        select(*_COLUMNS)
        .join(schema.pack, schema.pack.c.id == table.c.pack_id)
        .where(table.c.state == SubmissionState.ACCEPTED)
        .where(table.c.poll_at <= at)
        .order_by(table.c.poll_at)
        .limit(limit)
    )
    return [_read(row) for row in rows]


def find(connection: Connection, submission_id: UUID) -> Submission | None:
    """One submission, or None."""
    rows = connection.execute(
        select(*_COLUMNS)
        .join(schema.pack, schema.pack.c.id == schema.submission.c.pack_id)
        .where(schema.submission.c.id == submission_id)
    )
    row = rows.one_or_none()
    return _read(row) if row else None


def advance(
    connection: Connection,
    submission_id: UUID,
    *,
    expected: SubmissionState | tuple[SubmissionState, ...],
    to: SubmissionState,
    on_trial: str | None = None,
    **fields: Any,
) -> bool:
    """Move a submission if it is still where the decision was made; whether it moved.

    `on_trial` is a batch that it has to have still, and without a proof.
    """
    states = expected if isinstance(expected, tuple) else (expected,)
    table = schema.submission
    where = [table.c.id == submission_id, table.c.state.in_(states)]
    if on_trial is not None:
        where += [table.c.provider_batch_id == on_trial, table.c.proof.is_(None)]
    moved = connection.execute(update(table).where(*where).values(state=to, **fields)).rowcount
    if moved:
        connection.execute(
            text("""
                INSERT INTO event (at, kind, submission_id, detail)
                VALUES (clock_timestamp(), :kind, :id, :detail)
            """),
            {
                "kind": f"submission_{to}",
                "id": submission_id,
                "detail": fields.get("last_error") or fields.get("provider_batch_id"),
            },
        )
    return bool(moved)


def note(connection: Connection, submission_id: UUID, **fields: Any) -> None:
    """Record what was seen of a submission without moving it."""
    connection.execute(
        update(schema.submission).where(schema.submission.c.id == submission_id).values(**fields)
    )


def note_unwanted(connection: Connection, *, at: datetime) -> int:
    """Have every batch ended that holds nothing but jobs which nobody wants any more; how many those are.

    The collector asks the provider, as soon as it knows the batch. May be repeated.
    """
    return connection.execute(
        text("""
            WITH unwanted AS (
              SELECT DISTINCT pack_item.pack_id FROM job
              JOIN pack_item ON pack_item.job_id = job.id AND pack_item.active
              WHERE job.cancel_requested_at IS NOT NULL AND job.state IN ('waiting', 'in_flight')
            )
            UPDATE submission SET cancel_requested_at = :at, poll_at = :at
            WHERE state IN ('sending', 'unknown', 'accepted') AND cancel_requested_at IS NULL
              AND pack_id IN (SELECT pack_id FROM unwanted)
              AND NOT EXISTS (
                SELECT 1 FROM pack_item JOIN job ON job.id = pack_item.job_id
                WHERE pack_item.pack_id = submission.pack_id AND pack_item.active
                  AND job.cancel_requested_at IS NULL)
        """),
        {"at": at},
    ).rowcount


def look_now(connection: Connection, submission_id: UUID | None, *, at: datetime) -> int:
    """Let one batch, or all of them, be looked at in the next round; how many there are."""
    return connection.execute(
        text("""
            UPDATE submission SET poll_at = :at
            WHERE state IN ('accepted', 'unknown')
              AND (CAST(:id AS uuid) IS NULL OR id = :id)
        """),
        {"id": submission_id, "at": at},
    ).rowcount


def close(
    connection: Connection,
    submission: Submission,
    *,
    to: SubmissionState = SubmissionState.COLLECTED,
    last_error: str | None = None,
    at: datetime,
) -> bool:
    """End a submission whose every line is settled; whether it moved."""
    ended = "collected_at" if to is SubmissionState.COLLECTED else "ended_at"
    said: dict[str, Any] = {ended: at, "last_error": last_error}
    connection.execute(
        text("""
            UPDATE pack SET closed_at = :at WHERE id = :id AND NOT EXISTS (
              SELECT 1 FROM pack_item WHERE pack_id = :id AND active
            )
        """),
        {"id": submission.pack_id, "at": at},
    )
    return advance(
        connection,
        submission.id,
        expected=SubmissionState.ACCEPTED,
        to=to,
        **said,
    )


def lose_replies(connection: Connection, *, at: datetime) -> list[UUID]:
    """Treat every create that has been under way too long as one whose reply was lost."""
    rows = connection.execute(
        select(schema.submission.c.id)
        .where(schema.submission.c.state == SubmissionState.SENDING)
        .where(schema.submission.c.not_after < at)
    )
    return [
        row.id
        for row in rows.all()
        if advance(
            connection,
            row.id,
            expected=SubmissionState.SENDING,
            to=SubmissionState.UNKNOWN,
            last_error="no reply before the intent's time was over",
        )
    ]
