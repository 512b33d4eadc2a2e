"""Notice that Redis has forgotten, and tell it again: results, states, and how large chords are.

Redis keeps a mark of ours. Another one, or none, says that everything is gone (a flush, an empty
replacement, a failover to a stale replica). Single results that are gone (evicted, deleted) are found by
looking at some of the newer ones each time. What the ledger has is told again; what completion has
published before is not, so a callback or a chord's body still goes out once.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from kombu.exceptions import KombuError
from sqlalchemy import Engine

from app.completion.celery_end import CeleryEnd
from app.ledger import engine as ledger
from app.ledger import locks, redelivery, tickets
from app.ledger.redelivery import HeaderPart, Told
from app.observe.log import tell
from unhurried.contract import ADMITTED_STATE, REDIS_LIFETIME_S, Marker, marker_key

_MARK_KEY: Final = "unhurried:mark"
#: One page of a look at everything.
_PAGE: Final = 1000
#: How many of the newer results one round looks at, and how far back they reach.
_SAMPLE: Final = 2000
_SAMPLE_SPAN: Final = timedelta(hours=1)
_LOST_PARTS: Final = (
    "Redis lost what other tasks of this chord had returned; run it again: answers that are paid for "
    "are taken by their idempotency keys"
)


class RedisLoss:
    """Looks, and repairs. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self, *, engine: Engine, celery_end: CeleryEnd, client: Any, backend: Any, key_prefix: str
    ) -> None:
        self._engine = engine
        self._celery_end = celery_end
        self._client = client
        self._backend = backend
        self._key_prefix = key_prefix
        self._sampled_to = 0

    def run(self) -> int:
        """One look; how many results are told again. Raises redis.RedisError where Redis is away."""
        with self._engine.begin() as connection:
            expected = redelivery.mark(connection)
        found = self._client.get(self._key_prefix + _MARK_KEY)
        if expected is None:
            self._leave_mark()
            return 0
        if found is not None and found.decode() == expected:
            self._ask_chord_sizes()
            return self._sample()
        with locks.only_one(self._engine, "redis_loss") as mine:
            return self._restore() if mine else 0

    def _leave_mark(self) -> None:
        # Redis first: dying in between, the ledger still expects another and all is told again.
        value = uuid4().hex
        self._client.set(self._key_prefix + _MARK_KEY, value)
        with self._engine.begin() as connection:
            redelivery.set_mark(connection, value, at=ledger.now(connection))

    def _restore(self) -> int:
        tell("redis_forgot", warning=True)
        with self._engine.begin() as connection:
            since = ledger.now(connection) - timedelta(seconds=REDIS_LIFETIME_S)
        states_count = self._tell_states()
        chords_count = self._restore_chords(since)
        results_count = sum(self._tell_missing(page) for page in self._told_since(since))
        self._leave_mark()
        tell(
            "redis_told_again",
            warning=True,
            results_count=results_count,
            states_count=states_count,
            chords_count=chords_count,
        )
        return results_count

    def _tell_states(self) -> int:
        """Markers and states of everything that is still awaited."""
        count, after = 0, 0
        while True:
            with self._engine.begin() as connection:
                page = redelivery.awaited(connection, after=after, limit=_PAGE)
            with self._client.pipeline(transaction=False) as pipe:
                for one in page:
                    marker = Marker.model_validate(
                        {
                            "tier": one.tier,
                            "endpoint": one.endpoint,
                            "published_at": one.published_at,
                        }
                    )
                    self._tell_state(pipe, one.task_id, marker)
                pipe.execute()
            count += len(page)
            if len(page) < _PAGE:
                return count
            after = page[-1].id

    def _tell_state(self, pipe: Any, task_id: str, marker: Marker) -> None:
        key = self._key_prefix + marker_key(task_id)
        pipe.set(key, marker.model_dump_json(), ex=REDIS_LIFETIME_S, nx=True)
        meta = {"status": ADMITTED_STATE, "result": None, "task_id": task_id}
        pipe.set(
            self._backend.get_key_for_task(task_id),
            self._backend.encode({**meta, "traceback": None, "children": []}),
            ex=REDIS_LIFETIME_S,
            nx=True,
        )

    def _restore_chords(self, since: datetime) -> int:
        count, after = 0, ""
        while True:
            with self._engine.begin() as connection:
                page = redelivery.header_parts(connection, since=since, after=after)
            count += sum(self._one_chord(part) for part in page)
            if not page:
                return count
            after = page[-1].group_id

    def _one_chord(self, part: HeaderPart) -> bool:
        try:
            return self._restore_chord(part)
        except (KombuError, TypeError, ValueError, KeyError, AttributeError) as error:
            # A canvas that Celery cannot read: a person looks, and all the others are restored.
            tell(
                "chord_lost",
                warning=True,
                group_id=part.group_id,
                reason=f"{type(error).__name__}: {error}",
            )
            return False

    def _restore_chord(self, part: HeaderPart) -> bool:
        with self._engine.begin() as connection:
            ticket = tickets.with_canvas(connection, part.ticket_id)
            body_id = self._celery_end.body_id(ticket) if ticket is not None else None
            if ticket is None or body_id is None or redelivery.is_published(connection, body_id):
                return False
        if part.size is not None and part.size != part.own_count:
            self._celery_end.lose_chord(ticket, _LOST_PARTS)
            with self._engine.begin() as connection:
                redelivery.remember_published(connection, [body_id], at=ledger.now(connection))
            tell("chord_lost", warning=True, group_id=part.group_id, reason="foreign parts")
            return False
        return self._celery_end.restore_chord(ticket, part.group_id, part.own_count)

    def _told_since(self, since: datetime) -> Iterator[list[Told]]:
        after = 0
        while True:
            with self._engine.begin() as connection:
                page = redelivery.told(connection, since=since, after=after, limit=_PAGE)
            if not page:
                return
            yield page
            after = page[-1].id

    def _sample(self) -> int:
        """Look at some of the newer results; a whole round takes as many runs as there are pages."""
        with self._engine.begin() as connection:
            since = ledger.now(connection) - _SAMPLE_SPAN
            page = redelivery.told(connection, since=since, after=self._sampled_to, limit=_SAMPLE)
        self._sampled_to = page[-1].id if len(page) == _SAMPLE else 0
        return self._tell_missing(page)

    def _tell_missing(self, page: Sequence[Told]) -> int:
        kept = [one for one in page if not json.loads(one.headers).get("ignore_result")]
        with self._client.pipeline(transaction=False) as pipe:
            for one in kept:
                pipe.exists(self._backend.get_key_for_task(one.task_id))
            there = pipe.execute()
        missing = [one.id for one, found in zip(kept, there, strict=True) if not found]
        if not missing:
            return 0
        with self._engine.begin() as connection:
            count = redelivery.tell_again(connection, missing, at=ledger.now(connection))
        tell("results_missing", warning=True, tickets_count=count)
        return count

    def _ask_chord_sizes(self) -> None:
        """Redis alone knows how large a chord is, so it is asked while it does."""
        with self._engine.begin() as connection:
            group_ids = redelivery.chords_of_unknown_size(connection)
        if not group_ids:
            return
        keys = [self._backend.get_key_for_group(group_id, ".s") for group_id in group_ids]
        found = dict(zip(group_ids, self._client.mget(keys), strict=True))
        sizes = {group_id: int(size) for group_id, size in found.items() if size is not None}
        with self._engine.begin() as connection:
            redelivery.note_chord_sizes(connection, sizes, at=ledger.now(connection))
