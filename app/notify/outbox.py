"""Deliver what is due: the mark that a mail is on its way is committed before its data is sent."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, assert_never

from sqlalchemy import Engine

from app.ledger import engine as ledger
from app.ledger import notifications
from app.ledger.notifications import Due
from app.notify.compose import Composer
from app.notify.smtp import Delivery, NotSent, Sent, SmtpSender, Unknown
from app.observe.log import tell
from app.policy import mail

_PORTION: Final = 20
_PORTIONS_MAX: Final = 50
#: Longer than a mail server may take over one mail.
_LEASE: Final = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class MailRules:
    """To whom mail may go, and how often it is tried."""

    attempts_max: int
    domains_allowed: tuple[str, ...] = ()


class Outbox:
    """Empties the outbox. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        sender: SmtpSender | None,
        composer: Composer,
        rules: MailRules,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._engine = engine
        self._sender = sender
        self._composer = composer
        self._rules = rules
        self._chance = chance

    def deliver_due(self) -> int:
        """Deliver what is due; how many ended. Without a mail server they wait, and are told of."""
        if self._sender is None:
            tell("no_mail_server", remedy="set UNHURRIED_SMTP_URL; mails wait until then")
            return 0
        ended = 0
        for _ in range(_PORTIONS_MAX):
            with self._engine.begin() as connection:
                now = ledger.now(connection)
                taken = notifications.claim(connection, at=now, lease=_LEASE, limit=_PORTION)
            if not taken:
                break
            ended += sum(self._one(due, self._sender) for due in taken)
        return ended

    def recover(self) -> int:
        """Settle mails whose sender died while the server had them: nobody knows, so never again."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            lost = notifications.interrupted(connection, at=now)
            for due in lost:
                notifications.unknown(connection, due, at=now, reason="the sender died")
        for due in lost:
            tell("mail_unknown", warning=True, notification_id=str(due.id))
        return len(lost)

    def _one(self, due: Due, sender: SmtpSender) -> bool:
        try:
            to = mail.address(due.payload.get("to"))
            self._require_allowed(to)
        except ValueError as refusal:
            self._record(due, NotSent(str(refusal), permanent=True))
            return True
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            if not notifications.sending(connection, due.id, attempts=due.attempts):
                return False
        letter = mail.letter(due.payload, now=now)
        message = self._composer.compose(letter, to=to, notification_id=due.id, now=now)
        delivery = sender.send(message, sender=self._composer.sender, to=to)
        return self._record(due, delivery)

    def _require_allowed(self, to: str) -> None:
        domain = to.rpartition("@")[2].lower()
        if self._rules.domains_allowed and domain not in self._rules.domains_allowed:
            raise ValueError(
                f"mail to {domain} is not allowed here (UNHURRIED_MAIL_DOMAINS_ALLOWED)"
            )

    def _record(self, due: Due, delivery: Delivery) -> bool:
        """Whether the notification has ended."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            match delivery:
                case Sent():
                    notifications.delivered(connection, due, at=now)
                    event, ended = "mailed", True
                case Unknown():
                    notifications.unknown(connection, due, at=now, reason=delivery.reason)
                    event, ended = "mail_unknown", True
                case NotSent() if delivery.permanent or due.attempts >= self._rules.attempts_max:
                    notifications.dead(connection, due, at=now, reason=delivery.reason)
                    event, ended = "mail_dead", True
                case NotSent():
                    next_at = mail.next_try(due.attempts, now=now, chance=self._chance())
                    notifications.again(connection, due, next_at=next_at, reason=delivery.reason)
                    event, ended = "mail_later", False
                case _:
                    assert_never(delivery)
        tell(
            event,
            warning=event != "mailed",
            notification_id=str(due.id),
            attempts=due.attempts,
        )
        return ended
