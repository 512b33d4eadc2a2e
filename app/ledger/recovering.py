"""Answers that were bought and that this ledger does not know of: jobs that still wait take them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select, text

from app.ledger import giving_back, moves, schema, settling, submissions
from app.policy.lifecycle import UNSENT
from app.policy.settling import Standing
from app.policy.sweeping import may_answer
from unhurried.contract import Tier

#: Packs that are taken apart at once; there are some hundred at most that nobody has sent.
_UNPACKED_MAX = 1000


def unpack(connection: Connection, *, provider: str, at: datetime) -> int:
    """Let the jobs of every pack that the provider never got wait again; how many packs those were."""
    table = schema.submission
    rows = connection.execute(
        select(table.c.id)
        .where(table.c.provider == provider)
        .where(table.c.state.in_(UNSENT))
        .limit(_UNPACKED_MAX)
    ).all()
    for row in rows:
        submission = submissions.find(connection, row.id)
        assert submission is not None
        giving_back.give_back(
            connection,
            submission,
            expected=UNSENT,
            reason="taken apart unsent: some of it may be answered already",
            ready_at=at,
            at=at,
        )
    return len(rows)


def take(
    connection: Connection,
    job_ids: Sequence[UUID],
    *,
    batch_created_at: datetime | None,
    at: datetime,
) -> dict[UUID, Standing]:
    """Open an attempt of those jobs that wait and that the batch can hold an answer to."""
    waiting = connection.execute(
        text("""
            SELECT id, admitted_at FROM job
            WHERE id = ANY(CAST(:ids AS uuid[])) AND state = 'waiting' AND tier = 'batch'
        """),
        {"ids": list(job_ids)},
    )
    fitting = [
        row.id
        for row in waiting
        if may_answer(job_admitted_at=row.admitted_at, batch_created_at=batch_created_at)
    ]
    taken = moves.take_off(connection, fitting, tier=Tier.BATCH, submission_id=None, at=at)
    rows = connection.execute(
        text("""
            SELECT id AS job_id, attempt, uncounted, attempts_max, due_at, on_failure, answer_schema,
                   cancel_requested_at IS NOT NULL AS cancel_requested
            FROM job WHERE id = ANY(CAST(:ids AS uuid[]))
        """),
        {"ids": list(taken)},
    )
    return {row.job_id: settling.standing(row) for row in rows}
