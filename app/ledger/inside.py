"""What is in one batch: how its lines ended, which failed and why, what it cost. Reads, never locks.

Never a prompt, an answer, or a provider's words about them: codes, counts and names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

#: Failed lines that one page lists.
FAILED_MAX: Final = 200

#: Kinds of ends that are told apart.
_KINDS_MAX: Final = 200
_ANSWERED: Final = "answered"

_LINES: Final = """
    FROM submission JOIN pack_item ON pack_item.pack_id = submission.pack_id
    JOIN attempt ON attempt.job_id = pack_item.job_id AND attempt.number = pack_item.attempt
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How many lines ended so; an outcome of None is not known yet."""

    outcome: str | None
    error_code: str | None
    lines_count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedLine:
    """A line without the answer that was asked for, and where its job is now."""

    job_id: UUID
    key: str | None
    workload: str | None
    subject: str | None
    outcome: str
    error_code: str | None
    #: The job's: it may have been answered by another attempt since.
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """Which failed lines are told: of one kind of error, or of all; a page of them, counted from 1."""

    outcome: str | None = None
    error_code: str | None = None
    number: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a batch's lines cost, in nano-dollars; lines of unknown price are counted, not guessed."""

    lines_count: int
    nano_usd: int
    unpriced_count: int
    #: Estimate: what the same answers would have cost more at once.
    saved_nano_usd: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Inside:
    """All of it."""

    ended: Sequence[Ended]
    #: A page of those that were asked for, in the order of the body.
    failed: Sequence[FailedLine]
    failed_count: int
    number: int
    numbers: int
    cost: Cost


def read(connection: Connection, submission_id: UUID, wanted: Failed) -> Inside:
    """What is in a batch; of its failed lines a page. A number beyond the last page is the last page."""
    ended = _ended(connection, submission_id)
    count = sum(one.lines_count for one in ended if _is_wanted(one, wanted))
    numbers = max(-(-count // FAILED_MAX), 1)
    number = min(wanted.number, numbers)
    return Inside(
        ended=ended,
        failed=_failed(connection, submission_id, wanted, skip=(number - 1) * FAILED_MAX),
        failed_count=count,
        number=number,
        numbers=numbers,
        cost=_cost(connection, submission_id),
    )


def _ended(connection: Connection, submission_id: UUID) -> Sequence[Ended]:
    rows = connection.execute(
        text(f"""
            SELECT outcome, error_code, count(*) AS lines_count {_LINES}
            WHERE submission.id = :id GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT :limit
        """),
        {"id": submission_id, "limit": _KINDS_MAX},
    )
    return [Ended(**row._asdict()) for row in rows]


def _is_wanted(one: Ended, wanted: Failed) -> bool:
    return (
        one.outcome not in (None, _ANSWERED)
        and wanted.outcome in (None, one.outcome)
        and wanted.error_code in (None, one.error_code)
    )


def _failed(
    connection: Connection, submission_id: UUID, wanted: Failed, *, skip: int
) -> Sequence[FailedLine]:
    rows = connection.execute(
        text(f"""
            SELECT job.id AS job_id, job.key, job.workload, job.subject, attempt.outcome,
                   attempt.error_code, job.state
            {_LINES} JOIN job ON job.id = pack_item.job_id
            WHERE submission.id = :id AND attempt.outcome <> :answered
              AND (CAST(:outcome AS text) IS NULL OR attempt.outcome = :outcome)
              AND (CAST(:code AS text) IS NULL OR attempt.error_code = :code)
            ORDER BY pack_item.seq LIMIT :limit OFFSET :skip
        """),
        {
            "id": submission_id,
            "answered": _ANSWERED,
            "outcome": wanted.outcome,
            "code": wanted.error_code,
            "limit": FAILED_MAX,
            "skip": skip,
        },
    )
    return [FailedLine(**row._asdict()) for row in rows]


def _cost(connection: Connection, submission_id: UUID) -> Cost:
    row = connection.execute(
        text("""
            SELECT count(*) AS lines_count, coalesce(sum(charge.nano_usd), 0)::bigint AS nano_usd,
                   count(*) FILTER (WHERE charge.nano_usd IS NULL) AS unpriced_count,
                   coalesce(sum(greatest(job.sync_cost_nano_usd - charge.nano_usd, 0)), 0)::bigint
                     AS saved_nano_usd
            FROM submission
            JOIN charge ON charge.source = 'batch:' || submission.provider_batch_id
            LEFT JOIN job ON job.id = charge.job_id
            WHERE submission.id = :id
        """),
        {"id": submission_id},
    ).one()
    return Cost(**row._asdict())
