"""Jobs that wait past their due time: an answer would be of no use, so none is bought."""

from datetime import datetime

from sqlalchemy import Connection, text

from app.ledger import moves
from app.policy.lifecycle import Fail, JobState


def expire(connection: Connection, *, at: datetime, limit: int = 1000) -> int:
    """End waiting jobs whose due time has passed; how many there were.

    A job in flight goes on: it may have been paid for already.
    """
    late = connection.execute(
        text("""
            SELECT id, attempt FROM job WHERE state = 'waiting' AND due_at <= :at
            ORDER BY due_at LIMIT :limit
        """),
        {"at": at, "limit": limit},
    )
    expiries = [
        Fail(
            job_id=row.id,
            attempt=row.attempt,
            state=JobState.EXPIRED,
            outcome="expired",
            code="expired",
            message="the due time passed while the job was waiting",
            retryable=True,
        )
        for row in late
    ]
    return len(moves.apply(connection, expiries, at=at, expected=JobState.WAITING))
