"""A person's way back: jobs that failed or expired wait once more, and who was told of it may hear anew."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

_ENDED: Final = text("""
    SELECT id, error_code, error_message, error_retryable, provider_request_id FROM job
    WHERE id = ANY(CAST(:ids AS uuid[])) AND state IN ('failed', 'expired') ORDER BY id FOR UPDATE
""")

_REOPEN: Final = text("""
    UPDATE job SET
      state = 'waiting', ready_at = :at, uncounted = job.attempt, result_id = NULL, outcome = NULL,
      error_code = NULL, error_message = NULL, error_retryable = NULL, produced_at = NULL,
      effective_until = NULL, settled_at = NULL, replay_number = NULL, cancel_requested_at = NULL,
      flight = NULL, due_at = coalesce(CAST(:due_at AS timestamptz), job.due_at)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[])) AS m(id, attempt)
    WHERE job.id = m.id AND job.attempt = m.attempt AND job.state IN ('failed', 'expired')
      AND job.settled_at <= :decided_at AND job.content_pruned_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM ticket WHERE ticket.job_id = job.id AND ticket.state = 'ready')
    RETURNING job.id, job.attempt
""")

_KEEP_TOLD: Final = text("""
    UPDATE ticket SET "end" = m.said
    FROM unnest(CAST(:ids AS uuid[]), CAST(:ends AS bytea[])) AS m(id, said)
    WHERE ticket.job_id = m.id AND state = 'completed' AND "end" IS NULL
      AND (in_chord OR run_id IS NOT NULL)
""")

_TELL_ANEW: Final = text("""
    UPDATE ticket SET state = 'open', generation = generation + 1, ready_at = NULL,
                      completed_at = NULL, leased_until = NULL, attempts = 0
    WHERE job_id = ANY(CAST(:ids AS uuid[])) AND state = 'completed' AND "end" IS NULL
""")

_EVENTS: Final = text("""
    INSERT INTO event (at, kind, job_id, attempt)
    SELECT :at, 'reopened', m.id, m.attempt
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[])) AS m(id, attempt)
""")


def reopen(
    connection: Connection,
    attempts: Mapping[UUID, int],
    *,
    decided_at: datetime,
    due_at: datetime | None,
    at: datetime,
) -> int:
    """Let jobs that failed or expired by `decided_at` wait once more; how many did.

    Their attempts count anew, and their result gets a name of its own. Tickets that were told of the end
    wait again; parts of chords and runs keep it, since what follows those has been told as well. One that
    is just being told keeps its job from being reopened. `due_at` None keeps the due time.
    """
    ids = list(attempts)
    before = connection.execute(_ENDED, {"ids": ids}).all()
    rows = connection.execute(
        _REOPEN,
        {
            "ids": ids,
            "attempts": list(attempts.values()),
            "decided_at": decided_at,
            "due_at": due_at,
            "at": at,
        },
    ).all()
    reopened = [row.id for row in rows]
    _keep_told(connection, [row for row in before if row.id in set(reopened)])
    connection.execute(_TELL_ANEW, {"ids": reopened})
    numbers = [row.attempt for row in rows]
    connection.execute(_EVENTS, {"ids": reopened, "attempts": numbers, "at": at})
    return len(rows)


def _keep_told(connection: Connection, ended: Sequence[Any]) -> None:
    ends = [
        {
            "error": {
                "code": row.error_code,
                "message": row.error_message,
                "retryable": bool(row.error_retryable),
                "request_id": row.provider_request_id,
                "job_id": str(row.id),
            }
        }
        for row in ended
    ]
    connection.execute(
        _KEEP_TOLD,
        {"ids": [row.id for row in ended], "ends": [json.dumps(end).encode() for end in ends]},
    )
