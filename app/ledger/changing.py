"""Jobs that a person's wish is about, page by page, and what is done to them. Guarded by locks on their rows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, assert_never
from uuid import UUID

from sqlalchemy import Connection, text

from app.ledger import giving_back, moves, reopening, tickets
from app.ledger.subjects import jobs_of
from app.policy.changing import Deed, Due, Expedite, JobNow, Retry, Wish
from app.policy.lifecycle import ENDED, JobState, cancelled
from app.policy.names import parse_uuid
from app.policy.subjects import OF_JOBS, Kind, Subject
from app.policy.tickets import ended_with

#: Jobs of one transaction.
PAGE: Final = 1000

_WHICH: Final = {
    Kind.JOB: "job.id = CAST(:id AS uuid)",
    Kind.KEY: "job.key = :id",
    Kind.TASK: "job.id IN (SELECT job_id FROM ticket WHERE task_id = :id)",
    Kind.RUN: "job.id IN (SELECT job_id FROM ticket WHERE run_id = CAST(:id AS uuid))",
    # By the attempt as well: what has been given back and sent anew is in another batch.
    Kind.BATCH: """(job.id, job.attempt) IN (
        SELECT pack_item.job_id, pack_item.attempt FROM pack_item
        JOIN submission ON submission.pack_id = pack_item.pack_id
        WHERE submission.id = CAST(:id AS uuid))""",
}
_OTHERS: Final = {
    Kind.TASK: "other.task_id <> :id",
    Kind.RUN: "other.run_id IS DISTINCT FROM CAST(:id AS uuid)",
}
#: By what a word may name something, the likeliest first. A run's own task has the run's id.
_NAMES: Final = (
    (
        Kind.BATCH,
        "SELECT id FROM submission WHERE provider_batch_id = :word OR id = CAST(:uuid AS uuid)",
    ),
    (Kind.RUN, "SELECT id FROM run WHERE id = CAST(:uuid AS uuid)"),
    (Kind.JOB, "SELECT id FROM job WHERE id = CAST(:uuid AS uuid)"),
    (Kind.TASK, "SELECT task_id FROM ticket WHERE task_id = :word"),
    (Kind.KEY, "SELECT key FROM job WHERE key = :word"),
    (
        Kind.SUBJECT,
        f"SELECT subject FROM job WHERE id IN ({jobs_of('word')})",  # noqa: S608 - a constant
    ),
)


def resolve(
    connection: Connection,
    word: str,
    *,
    kind: Kind | None = None,
    kinds: Collection[Kind] = OF_JOBS,
) -> Subject | None:
    """What a word names: a batch (ours or the provider's id), a run, a job, a task or a key. None for nothing."""
    named_by = {"word": word, "uuid": parse_uuid(word)}
    for named, statement in _NAMES:
        if named not in kinds or (kind is not None and named is not kind):
            continue
        found = connection.execute(text(f"{statement} LIMIT 1"), named_by).scalar()
        if found is not None:
            return Subject(kind=named, id=str(found))
    return None


def unpack(connection: Connection, subject: Subject, *, at: datetime) -> int:
    """Take apart the packs that hold jobs of a subject and were never sent; how many there were."""
    which, values = _which(subject)
    rows = connection.execute(
        text(f"""
            SELECT DISTINCT submission.id FROM submission
            JOIN pack_item ON pack_item.pack_id = submission.pack_id AND pack_item.active
            JOIN job ON job.id = pack_item.job_id
            WHERE submission.state IN ('planned', 'uploaded') AND {which}
        """),  # noqa: S608 - constants of this module
        values,
    )
    reason = "taken apart unsent: a person wants something else of its jobs"
    return giving_back.unpack(connection, list(rows.scalars()), reason=reason, at=at)


def page(
    connection: Connection,
    subject: Subject,
    wish: Wish,
    *,
    after: UUID | None,
    hold: bool,
) -> list[JobNow]:
    """The next jobs of a subject, by id; with `hold` nobody moves them before the transaction has ended.

    A filter finds the jobs that a wish can be about: those that have ended for a retry, the others else.
    """
    which, values = _which(subject)
    if subject.kind is Kind.FILTER:
        ended = isinstance(wish, Retry)
        which += " AND job.state = ANY(:states)"
        values["states"] = [
            str(state)
            for state in JobState
            if (state in (JobState.FAILED, JobState.EXPIRED) if ended else state not in ENDED)
        ]
    rows = connection.execute(
        text(f"""
            SELECT job.id FROM job
            WHERE {which} AND (CAST(:after AS uuid) IS NULL OR job.id > :after)
            ORDER BY job.id LIMIT :limit {"FOR UPDATE" if hold else ""}
        """),  # noqa: S608 - constants of this module
        {**values, "after": after, "limit": PAGE},
    )
    return _jobs(connection, list(rows.scalars()), subject)


def _jobs(connection: Connection, job_ids: Sequence[UUID], subject: Subject) -> list[JobNow]:
    """A statement of its own: a ticket that came before the rows could be held is seen by it."""
    others = _OTHERS.get(subject.kind, "false")
    rows = connection.execute(
        text(f"""
            SELECT job.id, job.attempt, job.state, job.tier, job.due_at,
                   job.cancel_requested_at IS NOT NULL AS cancel_requested,
                   EXISTS (SELECT 1 FROM ticket AS other WHERE other.job_id = job.id
                           AND other.state = 'open' AND {others}) AS others_wait,
                   ARRAY(SELECT outcome FROM attempt WHERE attempt.job_id = job.id
                         AND outcome IS NOT NULL) AS outcomes,
                   job.answer IS NOT NULL AS is_answered,
                   EXISTS (SELECT 1 FROM ticket AS told WHERE told.job_id = job.id
                           AND told.state = 'ready') AS is_being_told,
                   job.content_pruned_at IS NOT NULL AS is_pruned
            FROM job WHERE job.id = ANY(CAST(:ids AS uuid[])) ORDER BY job.id
        """),  # noqa: S608 - constants of this module
        {"ids": list(job_ids), "id": subject.id},
    )
    return [_read(row) for row in rows]


def _which(subject: Subject) -> tuple[str, dict[str, Any]]:
    if subject.kind is not Kind.FILTER:
        return _WHICH[subject.kind], {"id": subject.id}
    said = " AND ".join(f"job.{name} = :{name}" for name in sorted(subject.wanted))
    values: dict[str, Any] = dict(subject.wanted)
    if subject.since is not None:
        said += " AND job.settled_at >= :since"
        values["since"] = subject.since
    return said, values


def _read(row: Any) -> JobNow:
    return JobNow(
        id=row.id,
        attempt=row.attempt,
        state=JobState(row.state),
        tier=row.tier,
        due_at=row.due_at,
        cancel_requested=row.cancel_requested,
        others_wait=row.others_wait,
        outcomes=frozenset(row.outcomes),
        is_answered=row.is_answered,
        is_being_told=row.is_being_told,
        is_pruned=row.is_pruned,
    )


def do(
    connection: Connection,
    deeds: Mapping[Deed, Sequence[JobNow]],
    wish: Wish,
    subject: Subject,
    *,
    why: str,
    decided_at: datetime,
    at: datetime,
) -> None:
    """Do to jobs of a held page what was decided."""
    for deed, jobs in deeds.items():
        ids = [job.id for job in jobs]
        match deed:
            case Deed.CANCELLED:
                message = f"cancelled: {why}"
                ends = [cancelled(job.id, job.attempt, message) for job in jobs]
                moves.apply(connection, ends, at=at, expected=JobState.WAITING)
            case Deed.ASKED_TO_END:
                ask_to_end(connection, ids, at=at)
            case Deed.LET_GO:
                end = ended_with("cancelled", f"cancelled: {why}", retryable=True)
                tickets.let_go(connection, [subject.id], end, at=at)
            case Deed.EXPEDITED:
                assert isinstance(wish, Expedite)
                _set(connection, "tier", wish.to, ids)
            case Deed.DUE_CHANGED:
                assert isinstance(wish, Due)
                _set(connection, "due_at", wish.at, ids)
            case Deed.REOPENED:
                assert isinstance(wish, Retry)
                reopening.reopen(
                    connection,
                    {job.id: job.attempt for job in jobs},
                    decided_at=decided_at,
                    due_at=wish.due_at,
                    at=at,
                )
            case _:
                assert_never(deed)


def ask_to_end(connection: Connection, job_ids: Iterable[UUID], *, at: datetime) -> None:
    """Nobody wants these any more; they are with a provider, and are not sent again. May be repeated."""
    connection.execute(
        text("""
            UPDATE job SET cancel_requested_at = :at
            WHERE id = ANY(CAST(:ids AS uuid[])) AND state IN ('waiting', 'in_flight')
              AND cancel_requested_at IS NULL
        """),
        {"ids": sorted(job_ids), "at": at},
    )


def _set(connection: Connection, column: str, value: Any, job_ids: Sequence[UUID]) -> None:
    connection.execute(
        text(f"""
            UPDATE job SET {column} = :value
            WHERE id = ANY(CAST(:ids AS uuid[])) AND state IN ('waiting', 'in_flight')
        """),  # noqa: S608 - a name of a column
        {"value": value, "ids": list(job_ids)},
    )


def drop_unwanted(connection: Connection, *, at: datetime, limit: int = PAGE) -> int:
    """End jobs that wait and that nobody wants any more; how many there were.

    There are none, but where a process of an earlier version has given one back.
    """
    rows = connection.execute(
        text("""
            SELECT id, attempt FROM job
            WHERE cancel_requested_at IS NOT NULL AND state = 'waiting'
            ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
        """),
        {"limit": limit},
    )
    ends = [cancelled(row.id, row.attempt, "it was cancelled in flight") for row in rows]
    return len(moves.apply(connection, ends, at=at, expected=JobState.WAITING))
