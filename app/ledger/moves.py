"""The only writer of a job's state, but for a person's way back (`reopening`). A move is applied under its
guard, or changes nothing.

Set-based: one statement moves hundreds of jobs, because packs hold tens of thousands of them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import Connection, text

from app.ledger import notifications, spending
from app.policy.lifecycle import (
    Fail,
    GiveBack,
    JobState,
    Move,
    Retry,
    Succeed,
    cancelled_instead,
)
from app.policy.outcomes import Answered

#: Result ids lie under this: the same job and attempt always give the same one.
_RESULTS: Final = UUID("3b1c9a52-0d43-4a68-9a0e-756e68757272")

_SUCCEED = text("""
    UPDATE job SET
      state = 'succeeded', outcome = m.outcome, answer = m.answer, output = m.output,
      tool_calls = m.tool_calls,
      usage = m.usage, model_answered = m.model, provider_request_id = m.request_id,
      result_id = m.result_id, cost_nano_usd = m.cost, sync_cost_nano_usd = m.sync_cost,
      error_code = NULL, error_message = NULL, error_retryable = NULL,
      produced_at = :at, settled_at = :at,
      effective_until = job.as_of + make_interval(secs => job.effective_for_s)
    FROM unnest(
      CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:outcomes AS text[]),
      CAST(:answers AS bytea[]), CAST(:outputs AS bytea[]), CAST(:usages AS bytea[]),
      CAST(:models AS text[]), CAST(:request_ids AS text[]), CAST(:result_ids AS uuid[]),
      CAST(:costs AS bigint[]), CAST(:sync_costs AS bigint[]), CAST(:tool_calls AS bytea[])
    ) AS m(id, attempt, outcome, answer, output, usage, model, request_id, result_id, cost, sync_cost,
           tool_calls)
    WHERE job.id = m.id AND job.state = :expected AND job.attempt = m.attempt
    RETURNING job.id
""")

_FAIL = text("""
    UPDATE job SET
      state = m.state, outcome = m.outcome, error_code = m.code, error_message = m.message,
      error_retryable = m.retryable, provider_request_id = m.request_id, result_id = m.result_id,
      answer = m.answer, output = m.output, tool_calls = m.tool_calls, usage = m.usage,
      model_answered = m.model,
      cost_nano_usd = m.cost, sync_cost_nano_usd = m.sync_cost,
      produced_at = :at, settled_at = :at
    FROM unnest(
      CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:states AS text[]),
      CAST(:outcomes AS text[]), CAST(:codes AS text[]), CAST(:messages AS text[]),
      CAST(:retryables AS boolean[]), CAST(:request_ids AS text[]), CAST(:result_ids AS uuid[]),
      CAST(:answers AS bytea[]), CAST(:outputs AS bytea[]), CAST(:usages AS bytea[]),
      CAST(:models AS text[]), CAST(:costs AS bigint[]), CAST(:sync_costs AS bigint[]),
      CAST(:tool_calls AS bytea[])
    ) AS m(id, attempt, state, outcome, code, message, retryable, request_id, result_id, answer, output,
           usage, model, cost, sync_cost, tool_calls)
    WHERE job.id = m.id AND job.state = :expected AND job.attempt = m.attempt
    RETURNING job.id
""")

_WAIT_AGAIN = text("""
    UPDATE job SET
      state = 'waiting', ready_at = m.ready_at, outcome = m.outcome, error_code = m.code,
      uncounted = job.uncounted + m.uncounted
    FROM unnest(
      CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:ready_ats AS timestamptz[]),
      CAST(:outcomes AS text[]), CAST(:codes AS text[]), CAST(:uncounteds AS int[])
    ) AS m(id, attempt, ready_at, outcome, code, uncounted)
    WHERE job.id = m.id AND job.state = :expected AND job.attempt = m.attempt
    RETURNING job.id
""")

_TAKE_OFF = text("""
    UPDATE job SET state = 'in_flight', attempt = attempt + 1
    WHERE id = ANY(CAST(:ids AS uuid[])) AND state = 'waiting' AND cancel_requested_at IS NULL
    RETURNING id, attempt
""")

_CANCEL_REQUESTED = text("""
    SELECT id FROM job
    WHERE id = ANY(CAST(:ids AS uuid[])) AND cancel_requested_at IS NOT NULL
    ORDER BY id FOR UPDATE
""")

_CLOSE_ATTEMPTS = text("""
    UPDATE attempt SET outcome = m.outcome, settled_at = :at, error_code = m.code
    FROM unnest(
      CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:outcomes AS text[]),
      CAST(:codes AS text[])
    ) AS m(job_id, number, outcome, code)
    WHERE attempt.job_id = m.job_id AND attempt.number = m.number AND attempt.settled_at IS NULL
""")

_READY_TICKETS = text("""
    UPDATE ticket SET state = 'ready', ready_at = :at
    WHERE job_id = ANY(CAST(:ids AS uuid[])) AND state = 'open'
""")

_EVENTS = text("""
    INSERT INTO event (at, kind, job_id, attempt, detail)
    SELECT :at, m.kind, m.job_id, m.attempt, m.detail
    FROM unnest(
      CAST(:kinds AS text[]), CAST(:ids AS uuid[]), CAST(:attempts AS int[]),
      CAST(:details AS text[])
    ) AS m(kind, job_id, attempt, detail)
""")


def result_id(job_id: UUID, attempt: int) -> UUID:
    """The id of the result that this attempt of this job gives."""
    return uuid5(_RESULTS, f"{job_id}:{attempt}")


def written_tool_calls(answer: Answered) -> bytes | None:
    """The calls of tools that an answer makes, as the ledger keeps them."""
    calls = [asdict(call) for call in answer.tool_calls]
    return json.dumps(calls).encode() if calls else None


def take_off(
    connection: Connection,
    job_ids: Sequence[UUID],
    *,
    tier: str,
    submission_id: UUID | None,
    at: datetime,
) -> dict[UUID, int]:
    """Open an attempt of every job that is still waiting and wanted; the attempt's number by job."""
    rows = connection.execute(_TAKE_OFF, {"ids": list(job_ids)}).all()
    taken = {row.id: row.attempt for row in rows}
    connection.execute(
        text("""
            INSERT INTO attempt (job_id, number, tier, submission_id, opened_at)
            SELECT m.job_id, m.number, :tier, :submission_id, :at
            FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS int[])) AS m(job_id, number)
        """),
        {
            "ids": list(taken),
            "numbers": list(taken.values()),
            "tier": tier,
            "submission_id": submission_id,
            "at": at,
        },
    )
    spending.reserve(connection, taken)
    _record(connection, [("opened", job, number, None) for job, number in taken.items()], at)
    return taken


def apply(
    connection: Connection,
    moves: Sequence[Move],
    *,
    at: datetime,
    expected: JobState = JobState.IN_FLIGHT,
) -> set[UUID]:
    """Apply the moves whose guard holds; the jobs that moved.

    In the same transaction: attempts are closed, events appended, the tickets of every job that ended
    become ready, and their notifications are staged. A move that is late or repeated changes nothing. At most one move a job.
    A job that was cancelled in flight does not wait again: it ends.
    """
    moved: set[UUID] = set()
    wanted = _unless_cancelled(connection, moves)
    ordered = sorted(wanted, key=lambda move: (type(move).__name__, move.job_id.int))
    for _, group in groupby(ordered, key=type):
        moved |= _apply_kind(connection, list(group), at, expected)
    applied = [move for move in ordered if move.job_id in moved]
    ended = [move.job_id for move in applied if isinstance(move, Succeed | Fail)]
    if ended:
        connection.execute(_READY_TICKETS, {"ids": ended, "at": at})
        notifications.stage(connection, ended, at=at)
    _close_attempts(connection, applied, at)
    spending.release(connection, {move.job_id: move.attempt for move in applied})
    _record(connection, [_event(move) for move in applied], at)
    return moved


def _unless_cancelled(connection: Connection, moves: Sequence[Move]) -> list[Move]:
    """The moves; those that would let a job wait which nobody wants any more end it instead."""
    again = [move.job_id for move in moves if isinstance(move, Retry | GiveBack)]
    if not again:
        return list(moves)
    cancelled = set(connection.execute(_CANCEL_REQUESTED, {"ids": again}).scalars())
    return [
        cancelled_instead(move)
        if isinstance(move, Retry | GiveBack) and move.job_id in cancelled
        else move
        for move in moves
    ]


def _apply_kind(
    connection: Connection, moves: Sequence[Move], at: datetime, expected: JobState
) -> set[UUID]:
    columns: dict[str, Any] = {
        "ids": [move.job_id for move in moves],
        "attempts": [move.attempt for move in moves],
        "at": at,
        "expected": expected,
    }
    first = moves[0]
    if isinstance(first, Succeed):
        statement = _SUCCEED
        columns |= _success_columns([move for move in moves if isinstance(move, Succeed)])
    elif isinstance(first, Fail):
        statement = _FAIL
        columns |= _failure_columns([move for move in moves if isinstance(move, Fail)])
    else:
        statement = _WAIT_AGAIN
        columns |= _waiting_columns([m for m in moves if isinstance(m, Retry | GiveBack)])
    return {row.id for row in connection.execute(statement, columns)}


def _success_columns(moves: Sequence[Succeed]) -> dict[str, list[Any]]:
    return {
        "outcomes": [str(move.answer.finish) for move in moves],
        "request_ids": [move.answer.request_id for move in moves],
        "result_ids": [result_id(move.job_id, move.attempt) for move in moves],
        **_answer_columns(moves),
    }


def _failure_columns(moves: Sequence[Fail]) -> dict[str, list[Any]]:
    return {
        "states": [str(move.state) for move in moves],
        "outcomes": [move.outcome for move in moves],
        "codes": [move.code for move in moves],
        "messages": [move.message.replace("\0", "") for move in moves],
        "retryables": [move.retryable for move in moves],
        "request_ids": [move.request_id for move in moves],
        "result_ids": [result_id(move.job_id, move.attempt) for move in moves],
        **_answer_columns(moves),
    }


def _answer_columns(moves: Sequence[Succeed | Fail]) -> dict[str, list[Any]]:
    """What was paid for; nulls where there is no answer."""
    answers = [move.answer for move in moves]
    return {
        "answers": [one and one.body for one in answers],
        "outputs": [one and one.output.encode("utf-8", "replace") for one in answers],
        "tool_calls": [one and written_tool_calls(one) for one in answers],
        "usages": [one and json.dumps(asdict(one.usage)).encode() for one in answers],
        "models": [one and one.model for one in answers],
        "costs": [move.cost_nano_usd for move in moves],
        "sync_costs": [move.sync_cost_nano_usd for move in moves],
    }


def _waiting_columns(moves: Sequence[Retry | GiveBack]) -> dict[str, list[Any]]:
    return {
        "ready_ats": [move.ready_at for move in moves],
        "outcomes": [move.outcome if isinstance(move, Retry) else "given_back" for move in moves],
        "codes": [move.code for move in moves],
        "uncounteds": [int(isinstance(move, GiveBack)) for move in moves],
    }


def _close_attempts(connection: Connection, moves: Sequence[Move], at: datetime) -> None:
    if not moves:
        return
    events = [_event(move) for move in moves]
    connection.execute(
        _CLOSE_ATTEMPTS,
        {
            "ids": [move.job_id for move in moves],
            "attempts": [move.attempt for move in moves],
            "outcomes": [_outcome(move) for move in moves],
            "codes": [event[3] for event in events],
            "at": at,
        },
    )


def _outcome(move: Move) -> str:
    match move:
        case Succeed():
            return str(move.answer.finish)
        case GiveBack():
            return "given_back"
        case _:
            return move.outcome


def _event(move: Move) -> tuple[str, UUID, int, str | None]:
    match move:
        case Succeed():
            return ("succeeded", move.job_id, move.attempt, str(move.answer.finish))
        case Fail():
            return (str(move.state), move.job_id, move.attempt, move.code)
        case Retry():
            return ("retried", move.job_id, move.attempt, move.code)
        case GiveBack():
            return ("given_back", move.job_id, move.attempt, move.code)


def _record(
    connection: Connection, events: Sequence[tuple[str, UUID, int, str | None]], at: datetime
) -> None:
    if not events:
        return
    kinds, ids, attempts, details = (list(column) for column in zip(*events, strict=True))
    connection.execute(
        _EVENTS, {"kinds": kinds, "ids": ids, "attempts": attempts, "details": details, "at": at}
    )
