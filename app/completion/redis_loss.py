"""Notice that Redis has forgotten, and tell it again: results, states, and how large chords are.

Three probes, because none alone sees everything. A mark of ours that is gone: a flush, an empty
replacement. Another replication id: a failover, perhaps to a replica that lagged and still has the mark. A
look at some of the newer results each time: single ones that are gone (evicted, deleted) or old. What the
ledger has is told again; what completion has published before is not, so a callback or a chord's body
still goes out once.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from celery import states
from kombu.exceptions import KombuError
from redis.exceptions import NoPermissionError
from sqlalchemy import Engine

from app.completion.celery_end import CeleryEnd
from app.ledger import engine as ledger
from app.ledger import locks, redelivery, tickets
from app.ledger.redelivery import HeaderPart, Mark, Told
from app.observe.log import tell
from unhurried.contract import ADMITTED_STATE, REDIS_LIFETIME_S, Marker, marker_key

_MARK_KEY: Final = "unhurried:mark"
#: One page of a look at everything.
_PAGE: Final = 1000
#: How many of the newer results one round looks at, and how far back they reach.
_SAMPLE: Final = 2000
_SAMPLE_SPAN: Final = timedelta(hours=1)
#: Celery writes the state first; the rest of a result may be long.
_STATE_BYTES: Final = 40
_ENDED: Final = tuple(f'"{state}"'.encode() for state in states.READY_STATES)
_LOST_PARTS: Final = (
    "Redis lost what other tasks of this chord had returned; run it again: answers that are paid for "
    "are taken by their idempotency keys"
)


class RedisLoss:
    """Looks, and repairs. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        celery_end: CeleryEnd,
        client: Any,
        backend: Any,
        key_prefix: str,
        waiting_count: Callable[[], int],
    ) -> None:
        """`waiting_count` says how many messages nobody has admitted yet."""
        self._engine = engine
        self._celery_end = celery_end
        self._client = client
        self._backend = backend
        self._key_prefix = key_prefix
        self._sampled_to = 0
        self._waiting_count = waiting_count
        #: How many those were when Redis was last well.
        self._waiting = 0

    def run(self) -> int:
        """One look; how many results are told again. Raises redis.RedisError where Redis is away."""
        with self._engine.begin() as connection:
            expected = redelivery.mark(connection)
        found = self._found()
        if expected is None:
            self._expect(self._leave_mark())
            return 0
        if found.value == expected.value and expected.replication_id is None:
            self._expect(found)  # a ledger from before it was asked for
        elif found != expected:
            with locks.only_one(self._engine, "redis_loss") as mine:
                return self._restore() if mine else 0
        self._waiting = self._waiting_count()
        self._ask_chord_sizes()
        return self._sample()

    def _found(self) -> Mark:
        value = self._client.get(self._key_prefix + _MARK_KEY)
        try:
            replication = self._client.info("replication")
        except NoPermissionError:
            replication = {}
        return Mark(value.decode() if value else "", replication.get("master_replid", ""))

    def _leave_mark(self) -> Mark:
        self._client.set(self._key_prefix + _MARK_KEY, uuid4().hex)
        return self._found()

    def _expect(self, mark: Mark) -> None:
        with self._engine.begin() as connection:
            redelivery.set_mark(connection, mark, at=ledger.now(connection))

    def _restore(self) -> int:
        tell("redis_forgot", warning=True, unadmitted_count=self._waiting)
        # A new mark in Redis before anything is told, and in the ledger after everything is: should Redis
        # forget again meanwhile, or this process die, the two still differ and all is told once more.
        mark = self._leave_mark()
        with self._engine.begin() as connection:
            since = ledger.now(connection) - timedelta(seconds=REDIS_LIFETIME_S)
        states_count = self._tell_states()
        chords_count = self._restore_chords(since)
        results_count = sum(self._tell_missing(page) for page in self._told_since(since))
        if self._found() == mark:
            self._expect(mark)
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
        restored = self._celery_end.restore_chord(ticket, part.group_id, part.own_count)
        with self._engine.begin() as connection:
            # A replica that lagged may have the chord and lack some of its parts.
            redelivery.tell_group_again(connection, part.group_id, at=ledger.now(connection))
        return restored

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
                pipe.getrange(self._backend.get_key_for_task(one.task_id), 0, _STATE_BYTES)
            begun = pipe.execute()
        missing = [
            one.id
            for one, meta in zip(kept, begun, strict=True)
            if not any(state in meta for state in _ENDED)
        ]
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
