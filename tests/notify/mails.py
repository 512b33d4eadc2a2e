"""Mails in the ledger: asked for as intake admits them, looked at as an operator would."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Row, text

from app.ledger import admission
from app.ledger import engine as ledger
from app.ledger.arrivals import Admission, NotificationDraft
from app.ledger.notifications import id_of_task
from app.notify.compose import Composer
from app.notify.outbox import MailRules, Outbox
from app.notify.smtp import SmtpSender
from app.policy import mail
from tests.support.factories import a_message

TO = "ann@example.org"
SENDER = "Unhurried <unhurried@service.example>"


def ask(
    engine: Engine, *args: Any, task_id: str = "mail-1", payload: Any = None, **kwargs: Any
) -> UUID:
    """Admit an `email` task; the notification's id. `payload` stands for one staged unchecked."""
    message = a_message(task_id)
    found = payload if payload is not None else mail.draft(args, {"to": TO, **kwargs})
    notification_id = id_of_task(task_id, message.context_digest)
    wanted = NotificationDraft(
        id=notification_id,
        tenant="default",
        kind="email",
        receiver=None,
        payload=json.dumps(found).encode(),
    )
    with engine.begin() as connection:
        admitted = [Admission(message=message, decision=wanted)]
        admission.admit(connection, admitted, at=ledger.now(connection))
    return notification_id


def an_outbox(
    engine: Engine,
    url: str | None,
    *,
    attempts_max: int = 10,
    domains_allowed: Sequence[str] = (),
    composer: Composer | None = None,
) -> Outbox:
    """An outbox over a mail server, without jitter."""
    return Outbox(
        engine=engine,
        sender=SmtpSender(url) if url is not None else None,
        composer=composer or Composer(sender=SENDER, templates_directory=None),
        rules=MailRules(attempts_max=attempts_max, domains_allowed=tuple(domains_allowed)),
        chance=lambda: 0.5,
    )


def row(engine: Engine, notification_id: UUID) -> Row[Any]:
    """A mail, and the ticket that waits for it."""
    with engine.connect() as connection:
        return connection.execute(
            text("""
                SELECT notification.state, notification.attempts, notification.last_error,
                       sent_at, payload, next_at - clock_timestamp() AS due_in, ticket.state AS ticket, ticket."end"
                FROM notification
                LEFT JOIN ticket ON ticket.id = notification.ticket_id
                WHERE notification.id = :id
            """),
            {"id": notification_id},
        ).one()


def end(engine: Engine, notification_id: UUID) -> dict[str, Any]:
    """What the ticket of a mail ended with."""
    found = row(engine, notification_id)
    assert found.ticket == "ready", found
    ended: dict[str, Any] = json.loads(bytes(found.end))
    return ended


def let_time_pass(engine: Engine) -> None:
    """Every wait and every lease is over."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                UPDATE notification
                SET next_at = clock_timestamp(), leased_until = clock_timestamp() - interval '1 s'
            """)
        )
