"""What becomes of a pack that the provider refused as a whole: one bad line must not poison it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from app.ledger import moves, packs, submissions
from app.ledger.submissions import Submission
from app.policy.lifecycle import Fail, GiveBack, JobState, SubmissionState
from app.policy.packing import LaneKey, Reason


def refused(
    connection: Connection,
    submission: Submission,
    *,
    to: SubmissionState,
    code: str,
    message: str,
    at: datetime,
    bad: Sequence[UUID] | Mapping[UUID, tuple[str, str]] = (),
) -> None:
    """Fail the jobs whose lines are `bad`; halve the pack where nobody says which they are.

    It is halved until the bad line stands alone: 17 times for the largest pack there is.

    As a mapping, `bad` has a code and a message for each of them.

    Nothing ran and nothing was billed. The others go on in packs of their own at once.
    """
    closed = submissions.advance(
        connection,
        submission.id,
        expected=(
            SubmissionState.PLANNED,
            SubmissionState.UPLOADED,
            SubmissionState.SENDING,
            SubmissionState.ACCEPTED,
        ),
        to=to,
        last_error=f"{code}: {message}",
        ended_at=at,
    )
    if not closed:
        return
    items = _close_items(connection, submission.pack_id, at)
    said = bad if isinstance(bad, Mapping) else {}
    culprits = set(bad) or ({job_id for job_id, _ in items} if len(items) == 1 else set())
    failures = [
        Fail(
            job_id=job_id,
            attempt=attempt,
            state=JobState.FAILED,
            outcome="rejected",
            code=said.get(job_id, (code, message))[0],
            message=said.get(job_id, (code, message))[1],
            retryable=False,
        )
        for job_id, attempt in items
        if job_id in culprits
    ]
    moves.apply(connection, failures, at=at)
    rest = [item for item in items if item[0] not in culprits]
    halves = [rest] if culprits else [rest[: len(rest) // 2], rest[len(rest) // 2 :]]
    for half in halves:
        if half:
            _pack_again(connection, submission, half, at)


def give_back(
    connection: Connection,
    submission: Submission,
    *,
    reason: str,
    ready_at: datetime,
    at: datetime,
    expected: SubmissionState | tuple[SubmissionState, ...] = SubmissionState.ACCEPTED,
) -> None:
    """Put every job of a pack back to waiting; the attempt does not count."""
    closed = submissions.advance(
        connection,
        submission.id,
        expected=expected,
        to=SubmissionState.VOID,
        last_error=reason,
        ended_at=at,
    )
    if closed:
        items = _close_items(connection, submission.pack_id, at)
        moves.apply(
            connection,
            [
                GiveBack(job_id=job_id, attempt=attempt, ready_at=ready_at)
                for job_id, attempt in items
            ],
            at=at,
        )


def lines(connection: Connection, pack_id: UUID, numbers: Sequence[int]) -> list[UUID]:
    """The jobs behind line numbers of a body, counted from 1."""
    rows = connection.execute(
        text("""
            SELECT job_id FROM pack_item
            WHERE pack_id = :pack_id AND seq = ANY(CAST(:seqs AS int[]))
        """),
        {"pack_id": pack_id, "seqs": [number - 1 for number in numbers]},
    )
    return list(rows.scalars())


def _close_items(connection: Connection, pack_id: UUID, at: datetime) -> list[tuple[UUID, int]]:
    rows = connection.execute(
        text("""
            WITH closed AS (
              UPDATE pack_item SET active = false WHERE pack_id = :pack_id AND active
              RETURNING seq, job_id, attempt
            )
            SELECT job_id, attempt FROM closed ORDER BY seq
        """),
        {"pack_id": pack_id},
    )
    items = [(row.job_id, row.attempt) for row in rows]
    connection.execute(
        text("UPDATE pack SET closed_at = :at WHERE id = :id"), {"id": pack_id, "at": at}
    )
    return items


def _pack_again(
    connection: Connection, submission: Submission, items: Sequence[tuple[UUID, int]], at: datetime
) -> None:
    """A new pack of the same attempts: they have not run, so they are not new ones."""
    pack_id = uuid4()
    lane = LaneKey(submission.provider, submission.account, submission.endpoint, submission.model)
    connection.execute(
        text("""
            INSERT INTO pack (id, provider, account, endpoint, model, betas, jobs_count, bytes_count,
                              tokens_count, reason, created_at)
            SELECT :id, :provider, :account, :endpoint, :model, '', count(*), sum(request_bytes),
                   sum(request_tokens), :reason, :at
            FROM job WHERE id = ANY(CAST(:ids AS uuid[]))
        """),
        {
            "id": pack_id,
            "provider": lane.provider,
            "account": lane.account,
            "endpoint": lane.endpoint,
            "model": lane.model,
            "reason": Reason.SPLIT,
            "at": at,
            "ids": [job_id for job_id, _ in items],
        },
    )
    packs.insert_items(connection, pack_id, items)
    packs.plan_submission(connection, pack_id, uuid4(), lane, attempt=1, at=at)
