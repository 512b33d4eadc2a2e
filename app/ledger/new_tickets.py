"""Tickets as they come into the ledger, with what they wait for, and the notifications that a canvas asked for."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from app.ledger import schema
from app.ledger.arrivals import Admitted, Message, NotificationDraft
from app.policy.admission import JobDraft, Refusal
from app.policy.awaiting import awaited_by
from app.policy.runs import RunDraft
from app.policy.tickets import TicketState, ended_with
from unhurried.contract import MailNotice, OnFailure, WebhookNotice


def insert_tickets(connection: Connection, admitted: Sequence[Admitted], at: datetime) -> int:
    """How many there are now that were not there."""
    if not admitted:
        return 0
    rows = [_ticket_row(one, at) for one in admitted]
    statement = insert(schema.ticket).on_conflict_do_nothing().returning(schema.ticket.c.id)
    return len(connection.execute(statement, rows).all())


def insert_notifications(
    connection: Connection, admitted: Sequence[Admitted], at: datetime
) -> None:
    """Stage what a canvas asked for; each completes its ticket once it is delivered."""
    for one in admitted:
        if not isinstance(one.decision, NotificationDraft):
            continue
        connection.execute(
            text("""
                INSERT INTO notification
                  (id, tenant, kind, receiver, ticket_id, payload, state, created_at, next_at)
                SELECT :id, :tenant, :kind, :receiver, ticket.id, :payload, 'new', :at, :at
                FROM ticket WHERE task_id = :task_id AND context_digest = :digest
                ON CONFLICT DO NOTHING
            """),
            {
                "id": one.decision.id,
                "tenant": one.decision.tenant,
                "kind": one.decision.kind,
                "receiver": one.decision.receiver,
                "payload": one.decision.payload,
                "at": at,
                "task_id": one.message.task_id,
                "digest": one.message.context_digest,
            },
        )


def _ticket_row(one: Admitted, at: datetime) -> dict[str, Any]:
    message, decision = one.message, one.decision
    same = (
        "task_id task_name context_digest headers properties body content_type content_encoding "
        "group_id root_id in_chord origin"
    )
    row: dict[str, Any] = {name: getattr(message, name) for name in same.split()}
    row |= {
        "job_id": None,
        "run_id": None,
        "tenant": "default",
        "on_failure": OnFailure.RAISE,
        "notify": None,
        "end": None,
        "awaited_by": None,
        "follower_id": message.follower.task_id if message.follower is not None else None,
        "state": TicketState.READY if one.ready else TicketState.OPEN,
        "admitted_at": at,
        "ready_at": at if one.ready else None,
    }
    match decision:
        case JobDraft():
            row |= {"job_id": decision.id, "tenant": decision.tenant}
            row |= {"on_failure": decision.on_failure, "notify": _notices(decision.notify)}
            row |= {"run_id": decision.run}
            row |= {"awaited_by": _reader(message, decision.notify, workload=decision.workload)}
        case RunDraft():
            row |= {"tenant": decision.tenant, "notify": _notices(decision.notify)}
            row |= {"awaited_by": _reader(message, decision.notify)}
        case NotificationDraft():
            row |= {"tenant": decision.tenant}
        case Refusal():
            row |= {"on_failure": decision.on_failure, "end": _refused(decision)}
            row |= {"run_id": decision.run}
    return row


def _reader(
    message: Message,
    notices: Sequence[MailNotice | WebhookNotice],
    *,
    workload: str | None = None,
) -> str | None:
    return awaited_by(
        message.follower,
        notices,
        workload=workload,
        ignores_result=message.ignore_result,
        tells=message.tells_pick_ups,
    )


def _notices(notices: Sequence[MailNotice | WebhookNotice]) -> bytes | None:
    if not notices:
        return None
    return json.dumps([notice.model_dump(mode="json") for notice in notices]).encode()


def _refused(refusal: Refusal) -> bytes:
    return ended_with(refusal.code, refusal.message)
