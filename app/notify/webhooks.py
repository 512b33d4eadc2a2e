"""Send the webhooks that are due, receiver by receiver. A webhook may safely be sent again."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from sqlalchemy import Engine

from app.ledger import engine as ledger
from app.ledger import notifications, pick_ups, webhooks
from app.ledger.webhooks import DueWebhook
from app.notify.post import NotTaken, Poster, Reply, Taken
from app.observe.log import tell
from app.policy import redelivery, tracing
from app.policy import webhooks as policy
from app.receivers import Receiver
from unhurried.signing import sign

#: Of one receiver in one run; the rest waits for the next.
_WEBHOOKS_MAX: Final = 1000
#: After which a receiver's turn is over: one that takes 20 s over each would hold its thread for hours, and
#: sixteen of them every thread, those for mails included. Whoever comes next asks for a turn of its own.
_TURN_S: Final = 60.0
#: Longer than one post may take, a slow look-up of the receiver's name included.
_LEASE: Final = timedelta(minutes=2)


class Webhooks:
    """Empties the outbox of webhooks. Safe to repeat, to kill anywhere and to run twice at once.

    A process sends to one receiver one webhook at a time: a receiver that hangs takes one thread, and
    all others go on.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        poster: Poster,
        receivers: Mapping[str, Receiver],
        attempts_max: int,
        turn_s: float = _TURN_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._engine = engine
        self._poster = poster
        self._receivers = dict(receivers)
        self._busy = {name: threading.Lock() for name in receivers}
        self._attempts_max = attempts_max
        self._turn_s = turn_s
        self._chance = chance
        self._told: set[str] = set()

    def due(self) -> list[str]:
        """Receivers to send to now.

        What is for a receiver that the settings no longer name waits; that is told once a process.
        """
        with self._engine.connect() as connection:
            found = webhooks.due_receivers(connection, at=ledger.now(connection))
        for name in set(found) - self._receivers.keys() - self._told:
            remedy = "name it in UNHURRIED_WEBHOOKS; its webhooks wait in the ledger until then"
            tell("unknown_receiver", warning=True, receiver=name, remedy=remedy)
            self._told.add(name)
        return [name for name in found if name in self._receivers]

    def deliver(self, name: str) -> int:
        """Send what is due to one receiver; how many ended, one way or another.

        0 where another thread is sending to it. A receiver in trouble ends the run, and is left alone
        for a while: what has not been tried keeps its attempts. A slow one gets a minute, and the rest
        at its next turn.
        """
        busy = self._busy.get(name)
        if busy is None or not busy.acquire(blocking=False):
            return 0
        try:
            return self._deliver(name, self._receivers[name])
        finally:
            busy.release()

    def _deliver(self, name: str, receiver: Receiver) -> int:
        ended = 0
        until = time.monotonic() + self._turn_s
        for _ in range(_WEBHOOKS_MAX):
            claimed = self._claim(name, receiver)
            if claimed is None:
                break
            found, now = claimed
            if not receiver.takes(policy.event_type(found.due.payload)):
                ended += self._leave_out(found)
                continue
            reply = self._post(found, receiver, now)
            ended += self._record(name, found, reply)
            if (isinstance(reply, NotTaken) and reply.troubled) or time.monotonic() >= until:
                break
        return ended

    def _claim(self, name: str, receiver: Receiver) -> tuple[DueWebhook, datetime] | None:
        """Take one, its bytes fixed: committed before anybody gets them."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            found = webhooks.claim(connection, name, at=now, lease=_LEASE)
            if found is None:
                return None
            if found.body is not None:
                return found, now
            due = found.due
            output = None
            if receiver.include_output and due.job_id is not None:
                output = webhooks.output(connection, due.job_id, bytes_max=policy.BODY_BYTES_MAX)
            body = policy.body(due.payload, occurred_at=due.created_at, output=output)
            webhooks.set_body(connection, due.id, body)
            return DueWebhook(due=due, body=body), now

    def _post(self, found: DueWebhook, receiver: Receiver, now: datetime) -> Reply:
        assert found.body is not None, "a claimed webhook has its bytes"
        signed = sign(
            found.body,
            webhook_id=policy.event_id(found.due.id),
            at=now,
            secrets=[secret.get_secret_value() for secret in receiver.secrets],
        )
        trace = tracing.carried(found.due.payload.get("trace") or {})
        headers = {"content-type": "application/json", "user-agent": "unhurried", **trace, **signed}
        return self._poster.post(receiver.url.get_secret_value(), found.body, headers)

    def _leave_out(self, found: DueWebhook) -> bool:
        with self._engine.begin() as connection:
            notifications.not_wanted(connection, found.due, at=ledger.now(connection))
        return True

    def _record(self, name: str, found: DueWebhook, reply: Reply) -> bool:
        """Whether the notification has ended."""
        due = found.due
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            match reply:
                case Taken():
                    notifications.delivered(connection, due, at=now)
                    webhooks.recovered(connection, name)
                    pick_ups.taken_by_webhook(connection, name, due, at=now)
                    event, ended = "webhook_sent", True
                case NotTaken() if reply.permanent or due.tries >= self._attempts_max:
                    ended = notifications.dead(connection, due, at=now, reason=reply.reason)
                    event = "webhook_dead" if ended else "webhook_later"
                case NotTaken():
                    next_at = self._next_try(due.tries, reply, now)
                    notifications.again(connection, due, next_at=next_at, reason=reply.reason)
                    event, ended = "webhook_later", False
                case _:
                    assert_never(reply)
            if isinstance(reply, NotTaken) and reply.troubled:
                webhooks.slow_down(connection, name, at=now, pause=redelivery.pause)
        told: dict[str, Any] = {"notification_id": str(due.id), "receiver": name}
        told["attempts"] = due.attempts
        tell(event, warning=event != "webhook_sent", **told)
        return ended

    def _next_try(self, tries: int, reply: NotTaken, now: datetime) -> datetime:
        asked = redelivery.retry_after(reply.retry_after, now=now)
        return redelivery.next_try(tries, now=now, chance=self._chance(), asked=asked)
