"""A run as a person looks at it: how many of its parts are where, and what happened to it. Reads, never locks."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from app.ledger import runs
from app.ledger.timeline import Entry, Timeline
from app.policy import runs as policy


def of_run(connection: Connection, run_id: UUID) -> Timeline:
    """A run from its first part to its end. Raises NoResultFound where there is none."""
    row = connection.execute(
        text("""
            SELECT id, tenant, workload, total, opened_at, sealed_at, expected_at,
                   cancel_requested_at, looked_at, ended_at
            FROM run WHERE id = :id
        """),
        {"id": run_id},
    ).one()
    look = runs.find(connection, run_id)
    assert look is not None, "the row was there in this transaction"
    counts = {
        "state": str(policy.state(look)),
        "admitted": look.admitted,
        "waiting": look.waiting,
        "in_flight": look.in_flight,
        "done": look.done,
        "failed": look.failed,
    }
    moments = (
        (row.opened_at, "opened", "its first part arrived"),
        (row.sealed_at, "sealed", f"it has {row.total:,} parts" if row.total is not None else ""),
        (row.cancel_requested_at, "cancel asked for", ""),
        (row.looked_at, "last counted", ""),
        (row.ended_at, "ended", "every part has"),
    )
    entries = [Entry(at=at, what=what, detail=said) for at, what, said in moments if at is not None]
    entries += _news(connection, run_id)
    return Timeline(
        kind="run",
        id=run_id,
        facts={**counts, **row._asdict()},
        entries=sorted(entries, key=lambda one: one.at),
    )


def _news(connection: Connection, run_id: UUID) -> list[Entry]:
    """The end of the run's own tasks, and who has picked it up."""
    rows: Any = connection.execute(
        text("""
            SELECT task_id, completed_at, picked_up_at, picked_up_by, awaited_by FROM ticket
            WHERE task_id = CAST(:id AS text) ORDER BY id LIMIT 20
        """),
        {"id": run_id},
    )
    entries = []
    for row in rows:
        by = row.picked_up_by or row.awaited_by or "a reader"
        read = "marked read" if row.picked_up_by else "picked up"
        entries += [
            Entry(at=at, what=what, detail=detail)
            for at, what, detail in (
                (row.completed_at, "completed", "Celery knows, and what follows is published"),
                (row.picked_up_at, read, f"by {by}"),
            )
            if at is not None
        ]
    return entries
