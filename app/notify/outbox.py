"""Deliver what is due: the mark that a server may have a mail is committed before the mail's end."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import partial
from typing import Any, Final, Protocol, assert_never

from sqlalchemy import Connection, Engine

from app.ledger import engine as ledger
from app.ledger import notifications
from app.ledger.notifications import Due
from app.notify.compose import BadTemplate, Composer
from app.notify.smtp import Delivery, NotSent, Sent, Unknown
from app.observe.log import tell
from app.policy import mail, redelivery

#: Of one run; the rest waits for the next.
_MAILS_MAX: Final = 1000
#: Longer than a mail server may take over one mail. Mails are claimed one by one: the last of a
#: portion would outlive its lease behind a slow server.
_LEASE: Final = timedelta(minutes=5)


class Sender(Protocol):
    """Hands one mail over, once; see `SmtpSender`."""

    def send(
        self, message: EmailMessage, *, sender: str, to: str, mark: Callable[[], bool]
    ) -> Delivery | None:
        """Try once. Until `mark` was called and true no server has the mail; None where it is not."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class MailRules:
    """To whom mail may go, and how often it is tried."""

    attempts_max: int
    #: Empty means any. A domain does not include those under it.
    domains_allowed: tuple[str, ...] = ()


class Outbox:
    """Empties the outbox. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        sender: Sender | None,
        composer: Composer,
        rules: MailRules,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._engine = engine
        self._sender = sender
        self._composer = composer
        self._attempts_max = rules.attempts_max
        self._domains = frozenset(domain.lower() for domain in rules.domains_allowed)
        self._chance = chance
        self._told = False

    def deliver_due(self) -> int:
        """Deliver what is due; how many ended, one way or another.

        Without a mail server they wait as they are, which is told once a process. A server that
        cannot be reached ends the run: what has not been tried keeps its attempts.
        """
        if self._sender is None:
            self._tell_once()
            return 0
        ended = 0
        for _ in range(_MAILS_MAX):
            with self._engine.begin() as connection:
                now = ledger.now(connection)
                claimed = notifications.claim(connection, at=now, lease=_LEASE, limit=1)
            if not claimed:
                break
            (due,) = claimed
            delivery = self._try(due, self._sender, now)
            if delivery is None:
                continue
            ended += self._record(due, delivery)
            if isinstance(delivery, NotSent) and not delivery.reached:
                break
        return ended

    def recover(self) -> int:
        """Settle mails whose sender died while the server had them: nobody knows, so never again."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            lost = notifications.interrupted(connection, at=now)
            for due in lost:
                notifications.unknown(connection, due, at=now, reason="the sender died")
        for due in lost:
            tell("mail_unknown", warning=True, notification_id=str(due.id), attempts=due.attempts)
        return len(lost)

    def _tell_once(self) -> None:
        if not self._told:
            remedy = "set UNHURRIED_SMTP_URL; mails wait in the ledger until then"
            tell("no_mail_server", warning=True, remedy=remedy)
            self._told = True

    def _try(self, due: Due, sender: Sender, now: datetime) -> Delivery | None:
        """What came of one try; None where somebody else took it over."""
        try:
            to = mail.address(due.payload.get("to"))
            self._require_allowed(to)
            letter = mail.letter(due.payload, now=now)
        except ValueError as refusal:
            return NotSent(str(refusal), permanent=True)
        try:
            message = self._composer.compose(letter, to=to, notification_id=due.id, now=now)
        except BadTemplate as error:
            return NotSent(mail.one_line(str(error)), permanent=False)
        # Not before the server has the data: one that dies with many mails begun would lose them all.
        mark = partial(self._mark, due)
        return sender.send(message, sender=self._composer.sender, to=to, mark=mark)

    def _mark(self, due: Due) -> bool:
        if not ledger.certainly(self._engine, partial(_sending, due=due)):
            return False
        tell("mail_sending", notification_id=str(due.id), attempts=due.attempts)
        return True

    def _require_allowed(self, to: str) -> None:
        domain = to.rpartition("@")[2].lower()
        if self._domains and domain not in self._domains:
            raise ValueError(
                f"mail to {domain} is not allowed here (UNHURRIED_MAIL_DOMAINS_ALLOWED)"
            )

    def _record(self, due: Due, delivery: Delivery) -> bool:
        """Whether the notification has ended."""
        event, ended = ledger.certainly(
            self._engine, partial(self._end, due=due, delivery=delivery)
        )
        told: dict[str, Any] = {"notification_id": str(due.id), "attempts": due.attempts}
        tell(event, warning=event != "mailed", **told)
        return ended

    def _end(self, connection: Connection, *, due: Due, delivery: Delivery) -> tuple[str, bool]:
        """The event to be told, and whether the notification has ended. May be repeated."""
        now = ledger.now(connection)
        match delivery:
            case Sent():
                notifications.delivered(connection, due, at=now)
                event, ended = "mailed", True
            case Unknown():
                notifications.unknown(connection, due, at=now, reason=delivery.reason)
                event, ended = "mail_unknown", True
            case NotSent() if delivery.permanent or due.tries >= self._attempts_max:
                notifications.dead(connection, due, at=now, reason=delivery.reason)
                event, ended = "mail_dead", True
            case NotSent():
                next_at = self._next_try(due, now)
                notifications.again(connection, due, next_at=next_at, reason=delivery.reason)
                event, ended = "mail_later", False
            case _:
                assert_never(delivery)
        return event, ended

    def _next_try(self, due: Due, now: datetime) -> datetime:
        until = mail.effective_until(due.payload)
        return redelivery.next_try(due.tries, now=now, chance=self._chance(), until=until)


def _sending(connection: Connection, *, due: Due) -> bool:
    return notifications.sending(connection, due.id, attempts=due.attempts)
