"""What becomes of a pack that the provider refused as a whole: one bad line must not poison it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from app.ledger import moves, packs, submissions
from app.ledger.submissions import Submission
from app.policy.lifecycle import UNSENT, Fail, GiveBack, JobState, SubmissionState, cancelled
from app.policy.packing import LaneKey, Reason

#: As the partial index has it.
_CANCELLED = "job.cancel_requested_at IS NOT NULL AND job.state IN ('waiting', 'in_flight')"


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

    Nothing ran and nothing was billed. The others go on in packs of their own at once; those that were
    cancelled meanwhile end.
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
    dropped = _drop_cancelled(connection, items, at)
    items = [item for item in items if item[0] not in dropped]
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
    ready_at: datetime | None,
    at: datetime,
    expected: SubmissionState | tuple[SubmissionState, ...] = SubmissionState.ACCEPTED,
) -> bool:
    """Put every job of a pack back to waiting; the attempt does not count. Whether that was done.

    `ready_at` None leaves each job its place among those that wait. Those that were cancelled end.
    """
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
        before = _ready_ats(connection, items) if ready_at is None else {}
        moves.apply(
            connection,
            [
                GiveBack(
                    job_id=job_id, attempt=attempt, ready_at=before.get(job_id, ready_at or at)
                )
                for job_id, attempt in items
            ],
            at=at,
        )
    return closed


def unpack(
    connection: Connection, submission_ids: Sequence[UUID], *, reason: str, at: datetime
) -> int:
    """Take apart those of these packs that were never sent; how many there were. Jobs keep their places."""
    found = [submissions.find(connection, one) for one in submission_ids]
    return sum(
        give_back(connection, one, reason=reason, ready_at=None, at=at, expected=UNSENT)
        for one in found
        if one is not None
    )


def unpack_cancelled(connection: Connection, *, at: datetime) -> int:
    """Take apart every unsent pack that holds a job which nobody wants any more; how many there were."""
    rows = connection.execute(
        text(f"""
            SELECT DISTINCT submission.id FROM submission
            JOIN pack_item ON pack_item.pack_id = submission.pack_id AND pack_item.active
            JOIN job ON job.id = pack_item.job_id
            WHERE submission.state IN ('planned', 'uploaded') AND {_CANCELLED}
        """)  # noqa: S608 - a constant of this module
    )
    return unpack(connection, list(rows.scalars()), reason="a job of it was cancelled", at=at)


def holds_cancelled(connection: Connection, pack_id: UUID) -> bool:
    """Whether a pack holds a job that nobody wants any more: it must not be sent."""
    found = connection.execute(
        text(f"""
            SELECT 1 FROM pack_item JOIN job ON job.id = pack_item.job_id
            WHERE pack_item.pack_id = :id AND pack_item.active AND {_CANCELLED} LIMIT 1
        """),  # noqa: S608 - a constant of this module
        {"id": pack_id},
    )
    return found.scalar_one_or_none() is not None


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


def _drop_cancelled(
    connection: Connection, items: Sequence[tuple[UUID, int]], at: datetime
) -> set[UUID]:
    """End those that were cancelled; which they were."""
    rows = connection.execute(
        text(f"SELECT id FROM job WHERE id = ANY(:ids) AND {_CANCELLED} ORDER BY id FOR UPDATE"),  # noqa: S608 - a constant of this module
        {"ids": [job_id for job_id, _ in items]},
    )
    unwanted = set(rows.scalars())
    message = "it was cancelled before the provider had taken it"
    ends = [cancelled(job, attempt, message) for job, attempt in items if job in unwanted]
    return moves.apply(connection, ends, at=at)


def _ready_ats(connection: Connection, items: Sequence[tuple[UUID, int]]) -> dict[UUID, datetime]:
    rows = connection.execute(
        text("SELECT id, ready_at FROM job WHERE id = ANY(:ids)"),
        {"ids": [job_id for job_id, _ in items]},
    )
    return {row.id: row.ready_at for row in rows}


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
