"""What people have decided: recorded before it is done, closed with what came of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from app.ledger import locks


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Who wants what of what, and why."""

    who: str
    why: str
    what: str
    #: A kind and an id, or a filter.
    subject: str
    #: The same one twice is one action.
    request_id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """A decision as it was recorded."""

    decision: Decision
    at: datetime
    #: None while it is being done, or where that broke off.
    outcome: dict[str, Any] | None


class AnotherDecisionError(Exception):
    """The request id is that of another decision: nothing is done."""


def note(connection: Connection, decision: Decision, *, at: datetime) -> Action:
    """Record a decision, or find it recorded; commit before anything is done.

    Raises AnotherDecisionError where the request id stands for something else.
    """
    connection.execute(
        text("""
            INSERT INTO action (at, who, why, what, subject, request_id)
            VALUES (:at, :who, :why, :what, :subject, :request_id) ON CONFLICT DO NOTHING
        """),
        {
            "at": at,
            "who": decision.who,
            "why": decision.why,
            "what": decision.what,
            "subject": decision.subject,
            "request_id": decision.request_id,
        },
    )
    found = find(connection, decision.request_id)
    assert found is not None, "it was there, or is there now"
    if (found.decision.what, found.decision.subject) != (decision.what, decision.subject):
        raise AnotherDecisionError(
            f"request {decision.request_id} was to {found.decision.what} {found.decision.subject}"
        )
    return found


def close(
    connection: Connection, request_id: UUID, outcome: Mapping[str, Any], *, at: datetime
) -> None:
    """Record what came of a decision, once; an event tells it to whoever reads the ledger in order."""
    closed = connection.execute(
        text("""
            UPDATE action SET outcome = :outcome WHERE request_id = :id AND outcome IS NULL
            RETURNING what, subject
        """),
        {"id": request_id, "outcome": json.dumps(outcome).encode()},
    ).one_or_none()
    if closed is not None:
        connection.execute(
            text("INSERT INTO event (at, kind, detail) VALUES (:at, :kind, :detail)"),
            {"at": at, "kind": f"action_{closed.what}", "detail": closed.subject},
        )


def find(connection: Connection, request_id: UUID) -> Action | None:
    """The action of a request; None where there is none."""
    row = connection.execute(
        text("""
            SELECT at, who, why, what, subject, request_id, outcome FROM action
            WHERE request_id = :id
        """),
        {"id": request_id},
    ).one_or_none()
    return _read(row) if row is not None else None


def about(connection: Connection, *subjects: str, limit: int = 100) -> list[Action]:
    """What was decided about something, by any of its names, the newest first."""
    rows = connection.execute(
        text("""
            SELECT at, who, why, what, subject, request_id, outcome FROM action
            WHERE subject = ANY(:subjects) ORDER BY at DESC, id DESC LIMIT :limit
        """),
        {"subjects": list(subjects), "limit": limit},
    )
    return [_read(row) for row in rows]


def broken_off(connection: Connection, *, limit: int = 20) -> list[Action]:
    """Decisions that began, that nobody carries out now, and whose end is not recorded; the newest first."""
    rows = connection.execute(
        text("""
            SELECT at, who, why, what, subject, request_id, outcome FROM action
            WHERE outcome IS NULL ORDER BY at DESC, id DESC LIMIT :limit
        """),
        {"limit": limit},
    )
    found = [_read(row) for row in rows]
    return [one for one in found if not locks.is_held(connection, lock(one.decision.request_id))]


def lock(request_id: UUID) -> str:
    """What whoever carries out a request holds meanwhile."""
    return f"action:{request_id}"


def _read(row: Any) -> Action:
    words = {name: getattr(row, name) for name in ("who", "why", "what", "subject", "request_id")}
    return Action(
        decision=Decision(**words),
        at=row.at,
        outcome=json.loads(bytes(row.outcome)) if row.outcome is not None else None,
    )
