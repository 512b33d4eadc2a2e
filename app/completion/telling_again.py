"""Tell once more how tasks ended, for a person who asked for it: results that Redis has lost, and callbacks.

Nothing is completed again: no chord counts a part, no chain goes on, no errback is called.
"""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Engine

from app.completion import follows, once
from app.completion.backend import OUTAGES
from app.completion.celery_end import CeleryEnd
from app.completion.complete import end_of
from app.completion.redis_mark import Fence, RedisMark
from app.completion.restore import Restorer
from app.completion.stored import ignores_result
from app.ledger import engine as ledger
from app.ledger import redelivery, telling_again
from app.ledger.redelivery import Publication
from app.ledger.telling_again import Due, Following
from app.ledger.tickets import ReadyTicket
from app.observe.log import tell
from app.observe.quiet import described
from app.policy.ends import Value
from app.policy.telling_again import Untold
from unhurried.contract import OnFailure

#: Tickets that one transaction leases, and portions of one run; the next wake-up goes on.
_PORTION: Final = 100
_PORTIONS_MAX: Final = 200
_LEASE: Final = timedelta(seconds=60)
#: With these a failure is handed over as a value, and callbacks are called.
_VALUES: Final = (OnFailure.RETURN, OnFailure.DROP)


def following(ticket: ReadyTicket, ended_well: bool) -> Following:  # noqa: FBT001 - what a page asks with
    """What follows a ticket, and what of it may go out again."""
    if not _is_value(ticket, ended_well=ended_well):
        return Following(
            callbacks_count=0,
            notices=follows.of(ticket).notices,
            others=(Untold.ERRBACKS,) if follows.has_errbacks(ticket) else (),
            keeps_result=not ignores_result(ticket.headers),
        )
    found = follows.of(ticket)
    return Following(
        callbacks_count=len(found.callbacks),
        notices=found.notices,
        others=found.others,
        keeps_result=not ignores_result(ticket.headers),
    )


def _is_value(ticket: ReadyTicket, *, ended_well: bool) -> bool:
    if ticket.end is not None:
        return isinstance(end_of(ticket), Value)
    return ended_well or OnFailure(ticket.on_failure) in _VALUES


class TellingAgain:
    """Empties the outbox of what is told again. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        celery_end: CeleryEnd,
        restorer: Restorer,
        mark: RedisMark,
        lease: timedelta = _LEASE,
    ) -> None:
        self._engine = engine
        self._is_published = once.noted_in(engine)
        self._celery_end = celery_end
        self._restorer = restorer
        self._mark = mark
        self._lease = lease

    def run(self) -> int:
        """Tell what is due; how many tasks that were. An outage ends the run: the rest waits for the next."""
        count = 0
        for _ in range(_PORTIONS_MAX):
            try:
                fence = self._mark.fence()
            except OUTAGES as outage:
                _tell_postponed(outage)
                break
            with self._engine.begin() as connection:
                due = telling_again.claim(
                    connection, at=ledger.now(connection), lease=self._lease, limit=_PORTION
                )
            if not due:
                break
            done, published = self._tell(due, fence)
            with self._engine.begin() as connection:
                now = ledger.now(connection)
                telling_again.told(connection, done)
                redelivery.remember_published(connection, published, at=now)
            count += len(done)
            if len(done) < len(due):
                break
        if count:
            tell("redelivered", tickets_count=count)
        return count

    def _tell(self, due: list[Due], fence: Fence) -> tuple[list[Due], list[Publication]]:
        done: list[Due] = []
        published: list[Publication] = []
        for one in due:
            with once.watched(self._is_published, fence) as publications:
                try:
                    self._one(one)
                except OUTAGES as outage:
                    _tell_postponed(outage)
                    return done, published
                finally:
                    published += publications.made
            done.append(one)
        return done, published

    def _one(self, due: Due) -> None:
        self._restorer.put_back(due.found)
        ticket = due.found.ticket
        end = end_of(ticket)
        if not due.callbacks or not isinstance(end, Value):
            return
        try:
            self._celery_end.call_again(ticket, end.wire, again=due.request_id)
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - what Celery and kombu raise over a canvas is without end
            # It cannot be published as its caller wrote it, now or later.
            told: dict[str, Any] = {"task_id": ticket.task_id, "reason": described(error)}
            tell("redelivery_failed", warning=True, **told)


def _tell_postponed(outage: Exception) -> None:
    tell("redelivery_postponed", warning=True, reason=described(outage))
