"""Keep chords of ours going: their sizes, their counts, and a body that nobody lived to publish.

Celery counts a chord in Redis alone, and whoever takes the last step claims it for a while: dead between the
claim and the body, it leaves a full chord that nothing moves. The tickets of ours are leased, but a caller's
own task may have been the last, and a lease may end before the claim does.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine

from app.completion import once
from app.completion.backend import OUTAGES
from app.completion.celery_end import CeleryEnd
from app.completion.redis_mark import Fence, RedisMark
from app.ledger import chords, redelivery, tickets
from app.ledger import engine as ledger
from app.ledger.chords import Chord
from app.ledger.redelivery import Publication
from app.ledger.tickets import ReadyTicket
from app.observe.log import tell
from app.policy.chords import Counted, Need, need

#: Chords that one sweep looks at; the next sweep goes on.
_PAGE: Final = 500
_LOST_PARTS: Final = (
    "Redis lost what other tasks of this chord had returned; run it again: answers that are paid for "
    "are taken by their idempotency keys"
)


class Chords:
    """Looks at chords, and repairs them. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        celery_end: CeleryEnd,
        client: Any,
        backend: Any,
        mark: RedisMark,
        claim_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._is_published = once.noted_in(engine)
        self._celery_end = celery_end
        self._client = client
        self._backend = backend
        self._mark = mark
        #: A full chord is left to whoever may be publishing its body for this long.
        self._claim_s = claim_s
        self._monotonic = monotonic
        self._swept_to = ""
        #: When a chord was first seen full and unclaimed, by the monotonic clock.
        self._full_since: dict[str, float] = {}

    def sweep(self, *, remembers: Callable[[], bool]) -> int:
        """Look at a page of chords that are not over; how many needed something.

        `remembers` says whether Redis still knows what it was told: what a flush makes of a chord is none of
        ours to judge.
        """
        fence = self._mark.fence()
        with self._engine.begin() as connection:
            page = chords.unfinished(connection, after=self._swept_to, limit=_PAGE)
        self._swept_to = page[-1].group_id if len(page) == _PAGE else ""
        looks = [(one, look) for one in page if (look := self._look(one)) is not None]
        # Asked last: a flush in between would have made each of these counts a lie.
        if not page or not remembers():
            return 0
        return sum(self._guarded(one.group_id, self._mend, one, look, fence) for one, look in looks)

    def restore(self, *, since: datetime) -> int:
        """Tell Redis again of every chord admitted since; how many have still to publish their bodies."""
        count, after, fence = 0, "", self._mark.fence()
        while True:
            with self._engine.begin() as connection:
                page = chords.admitted_since(connection, since=since, after=after)
            count += sum(self._guarded(one.group_id, self._restore, one, fence) for one in page)
            if not page:
                return count
            after = page[-1].group_id

    def ask_sizes(self) -> None:
        """Redis alone knows how large a chord is, so it is asked while it does."""
        with self._engine.begin() as connection:
            group_ids = chords.of_unknown_size(connection)
        if not group_ids:
            return
        keys = [self._backend.get_key_for_group(group_id, ".s") for group_id in group_ids]
        found = dict(zip(group_ids, self._client.mget(keys), strict=True))
        sizes = {group_id: int(size) for group_id, size in found.items() if size is not None}
        with self._engine.begin() as connection:
            chords.note_sizes(connection, sizes, at=ledger.now(connection))

    def _guarded(self, group_id: str, step: Callable[..., bool], *arguments: Any) -> bool:
        """Take a step for one chord: a person looks at a canvas that cannot be read, the others go on."""
        try:
            return step(*arguments)
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - what Celery and kombu raise over a canvas is without end
            self._tell_lost(group_id, f"{type(error).__name__}: {error}")
            return False

    def _look(self, one: Chord) -> tuple[ReadyTicket, Counted, bool] | None:
        """A ticket of a chord, what Redis says of it, and whether the ledger knows its body as published."""
        with self._engine.begin() as connection:
            ticket = tickets.with_canvas(connection, one.ticket_id)
            body = self._body_of(ticket) if ticket is not None else []
            published = _all_published(connection, body)
        if ticket is None:
            return None
        return ticket, self._counted(one.group_id, body), published

    def _body_of(self, ticket: ReadyTicket) -> Sequence[Publication]:
        try:
            return self._celery_end.body_of(ticket)
        except Exception:  # noqa: BLE001 - as above; whoever takes a step for it says so
            return []

    def _counted(self, group_id: str, body: Sequence[Publication]) -> Counted:
        size, more, parts, claim = (
            self._backend.get_key_for_group(group_id, suffix) for suffix in (".s", ".t", ".j", ".c")
        )
        with self._client.pipeline(transaction=True) as pipe:
            pipe.mget([size, more, claim])
            pipe.zcard(parts)
            pipe.exists(*[self._backend.get_key_for_task(one.task_id) for one in body] or [size])
            (found, added, holder), there, states = pipe.execute(raise_on_error=False)
        if not isinstance(there, int):
            # Counted in a list: the caller's `result_chord_ordered` is not ours, and neither is the chord.
            return Counted(size=None, parts=0, claimed=True, body_known=False)
        return Counted(
            size=int(found) + int(added or 0) if found is not None else None,
            parts=int(there),
            claimed=holder not in (None, b"done"),
            body_known=holder == b"done" or bool(body and states),
        )

    def _mend(self, one: Chord, look: tuple[ReadyTicket, Counted, bool], fence: Fence) -> bool:
        ticket, counted, published = look
        wanted = need(one.standing, counted, is_published=published)
        if wanted is Need.BODY and not self._is_stuck(one.group_id):
            return False
        self._full_since.pop(one.group_id, None)
        match wanted:
            case Need.NOTHING:
                return False
            case Need.OVER:
                if published:
                    self._clean_up(one.group_id)
                self._over(one.group_id, self._celery_end.body_of(ticket))
                return False
            case Need.FAILURE:
                self._lose(one.group_id, ticket, fence)
            case Need.SIZE | Need.COUNT:
                self._celery_end.restore_chord(ticket, one.group_id, one.standing.own_size)
        if wanted in (Need.COUNT, Need.BODY):
            self._count_again(one.group_id, limit=1 if wanted is Need.BODY else None)
        tell("chord_mended", warning=True, group_id=one.group_id, need=wanted)
        return True

    def _is_stuck(self, group_id: str) -> bool:
        """Whether a full chord has been seen so for longer than anybody takes to publish its body."""
        first = self._full_since.setdefault(group_id, self._monotonic())
        return self._monotonic() - first >= self._claim_s

    def _restore(self, one: Chord, fence: Fence) -> bool:
        with self._engine.begin() as connection:
            ticket = tickets.with_canvas(connection, one.ticket_id)
            body = self._celery_end.body_of(ticket) if ticket is not None else []
            if ticket is None or not body or _all_published(connection, body):
                return False
        if not one.standing.is_ours and not self._has_size(one.group_id):
            self._lose(one.group_id, ticket, fence)
            return False
        self._celery_end.restore_chord(ticket, one.group_id, one.standing.own_size)
        # A stale replica knows of fewer parts; one that it has counted is not counted twice.
        self._count_again(one.group_id)
        return True

    def _has_size(self, group_id: str) -> bool:
        return bool(self._client.exists(self._backend.get_key_for_group(group_id, ".s")))

    def _count_again(self, group_id: str, *, limit: int | None = None) -> None:
        with self._engine.begin() as connection:
            chords.tell_again(connection, group_id, at=ledger.now(connection), limit=limit)

    def _lose(self, group_id: str, ticket: ReadyTicket, fence: Fence) -> None:
        with once.watched(self._is_published, fence) as errbacks:
            self._celery_end.lose_chord(ticket, _LOST_PARTS)
        self._over(group_id, [*errbacks.made, *self._celery_end.body_of(ticket)])
        self._tell_lost(group_id, "foreign parts")

    def _clean_up(self, group_id: str) -> None:
        """Remove what Celery has counted: who published the body may not have lived to, and it holds every
        part's result for a day.
        """
        keys = [self._backend.get_key_for_group(group_id, suffix) for suffix in (".s", ".t", ".j")]
        self._client.delete(*keys)

    def _over(self, group_id: str, gone: Sequence[Publication]) -> None:
        """Leave a chord alone. What is `gone` goes out no more, though Redis should forget that it has."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            redelivery.remember_published(connection, gone, at=now)
            chords.over(connection, [group_id], at=now)

    def _tell_lost(self, group_id: str, reason: str) -> None:
        tell("chord_lost", warning=True, group_id=group_id, reason=reason)


def _all_published(connection: Any, body: Sequence[Publication]) -> bool:
    return bool(body) and all(redelivery.is_published(connection, one) for one in body)
