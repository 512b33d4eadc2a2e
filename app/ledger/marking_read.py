"""Results that count as read by a person's decision: marked page by page, under locks on their rows.

That a consumer has read it is in `pick_up` alone, where nothing is written here; whoever reads it later takes the
decision's place.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from app.ledger import ticketed
from app.policy.marking_read import ResultNow
from app.policy.subjects import Kind, Subject

#: Results of one transaction.
PAGE: Final = 1000

#: As `app.ledger.unread` tells what is there and who is missed.
_NOW: Final = """
    SELECT ticket.id AS ticket_id, ticket.state = 'completed' AS is_completed,
           CASE WHEN ticket.in_chord THEN published.at IS NOT NULL
                WHEN ticket.run_id IS NOT NULL THEN run.ended_at IS NOT NULL
                ELSE true END AS is_there,
           ticket.awaited_by IS NOT NULL AND (ticket.awaited_by NOT LIKE '@%' OR EXISTS (
             SELECT FROM consumer WHERE consumer.workload = substr(ticket.awaited_by, 2)
           )) AS is_awaited,
           ticket.picked_up_at IS NOT NULL AS is_read
    FROM ticket
    LEFT JOIN published ON ticket.in_chord AND published.task_id = ticket.follower_id
    LEFT JOIN run ON run.id = ticket.run_id
"""
#: What several have in common is marked where it is unread; of one thing it is said why it is not.
_UNREAD: Final = (
    "ticket.state = 'completed' AND ticket.awaited_by IS NOT NULL AND ticket.picked_up_at IS NULL"
)


def page(
    connection: Connection, subject: Subject, *, after: int, hold: bool
) -> Sequence[ResultNow]:
    """The next results of a subject, by their tickets' ids; held until the transaction ends, if asked for."""
    which, values = ticketed.which(connection, subject)
    if subject.kind in (Kind.FILTER, Kind.CONSUMER):
        which += f" AND {_UNREAD}"
    rows = connection.execute(
        text(f"""
            {_NOW} WHERE {which} AND ticket.id > :after
            ORDER BY ticket.id LIMIT :limit {"FOR UPDATE OF ticket" if hold else ""}
        """),
        {**values, "after": after, "limit": PAGE},
    )
    return [ResultNow(**row._asdict()) for row in rows]


def mark(connection: Connection, ticket_ids: Sequence[int], *, who: str, at: datetime) -> None:
    """Let these count as read, by whose decision. May be repeated; what somebody has read stays theirs."""
    connection.execute(
        text("""
            UPDATE ticket SET picked_up_at = :at, picked_up_by = :who
            WHERE id = ANY(CAST(:ids AS bigint[])) AND picked_up_at IS NULL
        """),
        {"ids": list(ticket_ids), "who": who, "at": at},
    )
