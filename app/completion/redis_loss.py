"""Notice that Redis has forgotten, and tell it again: results, states, and how large chords are.

Redis keeps a mark of ours: another one, or none, says that everything is gone (a flush, an empty
replacement). Its replication id says that another server answers than the one that was told: a replica that
took over may hold older values under the same keys. Single results that are gone (evicted, deleted) are found
by looking at some of the newer ones each time, and at a few of all. What the ledger has is told again; what completion has
published before is not, so a callback or a chord's body still goes out once.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import redis
from sqlalchemy import Engine

from app.completion.chords import Chords
from app.completion.redis_mark import RedisMark, Seen
from app.completion.stored import ignores_result, not_ended
from app.ledger import engine as ledger
from app.ledger import locks, redelivery
from app.ledger.redelivery import Awaited, Mark, Told
from app.observe.log import tell
from unhurried.contract import ADMITTED_STATE, REDIS_LIFETIME_S, Marker, marker_key

#: One page of a look at everything.
_PAGE: Final = 1000
#: How many of the newer results one round looks at, and how far back they reach.
_SAMPLE: Final = 2000
_SAMPLE_SPAN: Final = timedelta(hours=1)
#: How many of all results one round looks at besides: a whole look at a million takes hours.
_PATROL: Final = 200


class RedisLoss:
    """Looks, and repairs. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self, *, engine: Engine, chords: Chords, client: Any, backend: Any, key_prefix: str
    ) -> None:
        self._engine = engine
        self._chords = chords
        self._client = client
        self._backend = backend
        self._key_prefix = key_prefix
        self._mark = RedisMark(client, key_prefix)
        self._sampled_to: int | None = None
        self._patrolled_to: int | None = None
        self._told_settings = False

    def run(self) -> int:
        """One look; how many results are told again. Raises redis.RedisError where Redis is away."""
        self._tell_settings_once()
        expected, seen = self._expected(), self._mark.seen()
        if expected is not None and seen.is_told(expected):
            if expected.replication_id is None and seen.replication_id is not None:
                known = Mark(value=expected.value, replication_id=seen.replication_id)
                self._set_mark(known, instead_of=expected)
            self._chords.ask_sizes()
            return self._sample() + self._patrol()
        with locks.only_one(self._engine, "redis_loss") as mine:
            return self._restore() if mine else 0

    def remembers(self) -> bool:
        """Whether Redis still knows what it was told."""
        expected = self._expected()
        return expected is not None and self._mark.seen().is_told(expected)

    def _expected(self) -> Mark | None:
        with self._engine.begin() as connection:
            return redelivery.mark(connection)

    def _set_mark(self, mark: Mark, *, instead_of: Mark | None) -> None:
        with self._engine.begin() as connection:
            redelivery.set_mark(connection, mark, instead_of=instead_of, at=ledger.now(connection))

    def _restore(self) -> int:
        """Mark, tell, and only then expect the mark.

        Redis gets it first: whatever makes it forget from here on takes the mark with it, and is noticed.
        The ledger expects it last: dying in between, all is told again. So it is the first time, too: what
        was admitted before that, Redis may have forgotten already.
        """
        expected, seen = self._expected(), self._mark.seen()
        if expected is not None:
            if seen.is_told(expected):
                return 0
            self._tell_loss(expected, seen)
        mark = self._mark.leave(seen)
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            redelivery.outdate_leased(connection, at=now)
        since = now - timedelta(seconds=REDIS_LIFETIME_S)
        states_count = self._tell_states()
        chords_count = self._chords.restore(since=since)
        results_count = sum(self._tell_missing(page) for page in self._told_since(since))
        self._set_mark(mark, instead_of=expected)
        if expected is not None or results_count + states_count:
            tell(
                "redis_told_again",
                warning=expected is not None,
                results_count=results_count,
                states_count=states_count,
                chords_count=chords_count,
            )
        return results_count

    def _tell_loss(self, expected: Mark, seen: Seen) -> None:
        with self._engine.begin() as connection:
            unadmitted_count = redelivery.unadmitted(connection)
        event = "redis_forgot" if seen.value != expected.value else "redis_replaced"
        tell(event, warning=True, unadmitted_count=unadmitted_count)

    def _tell_states(self) -> int:
        """Markers and states of everything that is still awaited."""
        count, after = 0, 0
        while True:
            with self._engine.begin() as connection:
                page = redelivery.awaited(connection, after=after, limit=_PAGE)
            with self._client.pipeline(transaction=False) as pipe:
                for one in page:
                    self._tell_state(pipe, one)
                pipe.execute()
            count += len(page)
            if len(page) < _PAGE:
                return count
            after = page[-1].id

    def _tell_state(self, pipe: Any, one: Awaited) -> None:
        marker = Marker.model_validate(
            {"tier": one.tier, "endpoint": one.endpoint, "published_at": one.published_at}
        )
        key = self._key_prefix + marker_key(one.task_id)
        pipe.set(key, marker.model_dump_json(), ex=REDIS_LIFETIME_S, nx=True)
        if ignores_result(one.headers):
            return
        meta = {"status": ADMITTED_STATE, "result": None, "task_id": one.task_id}
        pipe.set(
            self._backend.get_key_for_task(one.task_id),
            self._backend.encode({**meta, "traceback": None, "children": []}),
            ex=REDIS_LIFETIME_S,
            nx=True,
        )

    def _told_since(self, since: datetime) -> Iterator[list[Told]]:
        before = None
        while True:
            with self._engine.begin() as connection:
                page = redelivery.told(connection, since=since, before=before, limit=_PAGE)
            if not page:
                return
            yield page
            before = page[-1].id

    def _sample(self) -> int:
        """Look at some of the newer results; a whole round takes as many runs as there are pages."""
        with self._engine.begin() as connection:
            since = ledger.now(connection) - _SAMPLE_SPAN
            page = redelivery.told(connection, since=since, before=self._sampled_to, limit=_SAMPLE)
        self._sampled_to = page[-1].id if len(page) == _SAMPLE else None
        return self._tell_missing(page)

    def _patrol(self) -> int:
        """Look at a few of all results, so that an older one that is gone is found some day."""
        with self._engine.begin() as connection:
            since = ledger.now(connection) - timedelta(seconds=REDIS_LIFETIME_S)
            page = redelivery.told(
                connection, since=since, before=self._patrolled_to, limit=_PATROL
            )
        self._patrolled_to = page[-1].id if len(page) == _PATROL else None
        return self._tell_missing(page)

    def _tell_missing(self, page: Sequence[Told]) -> int:
        kept = [one for one in page if not ignores_result(one.headers)]
        absent = not_ended(self._client, self._backend, [one.task_id for one in kept])
        missing = [one.id for one in kept if one.task_id in absent]
        if not missing:
            return 0
        with self._engine.begin() as connection:
            count = redelivery.tell_again(connection, missing, at=ledger.now(connection))
        tell("results_missing", warning=True, tickets_count=count)
        return count

    def _tell_settings_once(self) -> None:
        """Say what would make this Redis forget by itself."""
        if self._told_settings:
            return
        self._told_settings = True
        for setting, remedy in _risks(_info(self._client, "memory", "persistence")):
            tell("redis_may_forget", warning=True, setting=setting, remedy=remedy)


def _info(client: Any, *sections: str) -> dict[str, Any]:
    try:
        return dict(client.info(*sections))
    except redis.ResponseError:
        # INFO is closed to this user: the mark and the sample have to do.
        return {}


def _risks(info: dict[str, Any]) -> Iterator[tuple[str, str]]:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield f"maxmemory-policy {policy}", "set maxmemory-policy noeviction"
    if info.get("aof_enabled", 1) == 0:
        yield "appendonly no", "set appendonly yes: messages not yet admitted are in Redis alone"
