"""Deliver ended jobs to their tickets: the outbox of completion, emptied in small leased portions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Engine

from app.completion import once
from app.completion.backend import OUTAGES
from app.completion.celery_end import CeleryEnd
from app.completion.latest import Latest
from app.completion.redis_mark import Fence, RedisMark
from app.completion.telling import Ended
from app.ledger import engine as ledger
from app.ledger import redelivery, tickets
from app.ledger.redelivery import Publication
from app.ledger.tickets import ReadyTicket
from app.observe.log import tell
from app.observe.quiet import described
from app.policy import ends
from app.policy.ends import Failure, Revoked, Value
from unhurried.contract import REDIS_LIFETIME_S, OnFailure, output_key
from unhurried.errors import failure

#: Tickets that one transaction leases: few enough that each is done well within its lease.
_PORTION: Final = 100
#: Portions of one run; the next wake-up goes on.
_PORTIONS_MAX: Final = 200
_RETRY_AFTER: Final = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """How long a portion is ours. Must exceed Celery's claim on a chord, within which a repeated last
    part does nothing."""

    span: timedelta


class Completer:
    """Completes ready tickets. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        celery_end: CeleryEnd,
        client: Any,
        key_prefix: str,
        latest: Latest,
        mark: RedisMark,
        lease: Lease,
        still_wanted: Callable[[], bool] = lambda: True,
        watching: Sequence[Callable[[Sequence[Ended]], None]] = (),
    ) -> None:
        self._engine = engine
        self._is_published = once.noted_in(engine)
        self._celery_end = celery_end
        self._client = client
        self._key_prefix = key_prefix
        self._latest = latest
        self._mark = mark
        self._lease = lease
        self._still_wanted = still_wanted
        self._watching = watching

    def run(self) -> int:
        """Complete what is ready; how many tickets that were."""
        completed = 0
        for _ in range(_PORTIONS_MAX):
            try:
                fence = self._mark.fence()
            except OUTAGES as outage:
                tell("completion_waits", warning=True, reason=described(outage))
                break
            taken = self._take()
            if not taken or not self._still_wanted():
                break
            completed += self._deliver(taken, fence)
        return completed

    def _take(self) -> list[ReadyTicket]:
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            return tickets.claim(connection, at=now, lease=self._lease.span, limit=_PORTION)

    def _deliver(self, taken: list[ReadyTicket], fence: Fence) -> int:
        published: list[Publication] = []
        ended = [
            Ended(ticket=one, end=end)
            for one in taken
            if (end := self._one(one, fence, published)) is not None
        ]
        done = [(one.ticket.id, one.ticket.generation) for one in ended]
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            tickets.completed(connection, done, at=now)
            redelivery.remember_published(connection, published, at=now)
        if done:
            failed = sum(isinstance(one.end, Failure) for one in ended)
            tell("completed", tickets_count=len(done), failed_count=failed)
        for watch in self._watching:
            watch(ended)
        return len(done)

    def _one(
        self, ticket: ReadyTicket, fence: Fence, published: list[Publication]
    ) -> ends.End | None:
        """How the ticket ended, once Celery knows it; adds what was published for it."""
        # Taken for the first time, nothing of its canvas can have gone out but by Redis's own mark.
        is_first = ticket.generation == 1 and ticket.attempts == 1
        known = once.never_before if is_first else self._is_published
        try:
            with once.watched(known, fence) as publications:
                end = end_of(ticket)
                self._tell(ticket, end, known)
            if not is_first:
                published += self._went_out_before(ticket)
        except OUTAGES as outage:
            self._postpone(ticket, outage, f"{type(outage).__name__}: {outage}")
            return None
        except Exception as error:  # noqa: BLE001 - what Celery and kombu raise over a canvas is without end
            # A callback that cannot be published as the caller wrote it: the answer is paid for and
            # stays in the ledger, a person looks, and the other tickets go on.
            self._postpone(ticket, error, f"cannot be completed: {type(error).__name__}: {error}")
            return None
        finally:
            published += publications.made
        return end

    def _went_out_before(self, ticket: ReadyTicket) -> list[Publication]:
        """The body's tasks that Redis knows as pushed: whoever took the last step may not have lived to note it.

        Celery does not take the step again, and a flush would leave nobody who remembers.
        """
        body = self._celery_end.body_of(ticket)
        return [one for one in body if once.is_pushed(self._client, self._key_prefix, one)]

    def _tell(self, ticket: ReadyTicket, end: ends.End, known: once.IsKnown) -> None:
        match end:
            case Value():
                store_long_output(self._client, self._key_prefix, end)
                self._celery_end.succeed(ticket, end.wire, is_published=known)
                # After the result is there: whoever follows the pointer finds it.
                self._latest.ended(ticket.task_id, end.wire, tenant=ticket.tenant)
            case Failure():
                self._celery_end.fail(ticket, failure(end.error), is_published=known)
            case Revoked():
                self._celery_end.revoke(ticket, end.reason, is_published=known)

    def _postpone(self, ticket: ReadyTicket, error: Exception, reason: str) -> None:
        """Later again; the ledger has the whole reason, which may quote what was to be published."""
        wait = max(_RETRY_AFTER * min(ticket.attempts, 30), self._lease.span)
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            tickets.postpone(connection, ticket.id, until=now + wait, reason=_as_text(reason))
        tell("completion_postponed", warning=True, task_id=ticket.task_id, reason=described(error))


def _as_text(said: str) -> str:
    """What a column can hold of words that quote a stranger."""
    return said.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def store_long_output(client: Any, key_prefix: str, end: Value) -> None:
    """Put an output that is too long to travel where its readers look for it."""
    if end.long_output is not None:
        key = key_prefix + output_key(end.wire["output_ref"])
        client.set(key, end.long_output, ex=REDIS_LIFETIME_S)


def end_of(ticket: ReadyTicket) -> ends.End:
    """What the ticket's caller gets."""
    on_failure = OnFailure(ticket.on_failure)
    if ticket.end is not None:
        return ends.ready_made(bytes(ticket.end), on_failure)
    assert ticket.job is not None, f"ticket {ticket.id} is ready without an end"
    return ends.of_job(ticket.job, on_failure)
