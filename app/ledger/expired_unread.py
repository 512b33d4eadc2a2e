"""Results that Redis forgot before anybody had picked them up: counted as their time runs out."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

#: What one step looks at: results whose time ran out within it.
_STEP: Final = timedelta(hours=1)
_NAME: Final = "results_expired_unread"

#: As `app.ledger.unread` counts what waits: results that could not be read yet were nobody's to miss.
_COUNT = text("""
    INSERT INTO tally (name, labels, count)
    SELECT :name, ARRAY[job.tier], count(*)
    FROM ticket JOIN job ON job.id = ticket.job_id
    LEFT JOIN run ON run.id = ticket.run_id
    LEFT JOIN published ON ticket.in_chord AND published.task_id = ticket.follower_id
    WHERE ticket.state = 'completed' AND ticket.awaited_by IS NOT NULL
      AND ticket.picked_up_at IS NULL
      AND ticket.completed_at >= :since AND ticket.completed_at < :until
      AND (ticket.run_id IS NULL OR run.ended_at IS NOT NULL)
      AND (NOT ticket.in_chord OR published.at IS NOT NULL)
      AND (ticket.awaited_by NOT LIKE '@%' OR EXISTS (
        SELECT FROM consumer WHERE consumer.workload = substr(ticket.awaited_by, 2)))
    GROUP BY job.tier
""")


def count(connection: Connection, *, at: datetime, lifetime: timedelta) -> bool:
    """Tally those whose time ran out since the last look, an hour of them at most; whether none is left.

    Each is counted once: how far it was looked is kept in the same transaction. The first look counts none.
    """
    out = at - lifetime
    connection.execute(
        text("INSERT INTO measured_until (name, at) VALUES (:name, :at) ON CONFLICT DO NOTHING"),
        {"name": _NAME, "at": out},
    )
    since: datetime = connection.execute(
        text("SELECT at FROM measured_until WHERE name = :name FOR UPDATE"), {"name": _NAME}
    ).scalar_one()
    until = min(out, since + _STEP)
    if until > since:
        connection.execute(_COUNT, {"name": _NAME, "since": since, "until": until})
        connection.execute(
            text("UPDATE measured_until SET at = :at WHERE name = :name"),
            {"name": _NAME, "at": until},
        )
    return until >= out
