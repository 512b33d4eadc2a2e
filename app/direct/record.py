"""Write direct answers into the ledger after they were given; keep them in Redis while it is down."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from uuid import UUID, uuid4

import redis
from kombu.utils import json
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError

from app.ledger import direct, quarantine, sharing
from app.ledger import engine as ledger
from app.ledger.direct import DirectRecord
from app.observe.log import tell
from app.policy import ends
from app.policy.admission import JobDraft
from app.policy.ends import Failure, JobsEnd

#: Records that wait for the ledger at most; past it the oldest are dropped, and told of.
_WAITING_MAX: Final = 100_000
#: Records that one sweep writes.
_SWEEP_MAX: Final = 1000
_SOURCE: Final = "direct"
#: A turn that is over may be somebody else's by now.
_GIVE_BACK: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class Recorder:
    """Records direct calls."""

    def __init__(self, *, engine: Engine, client: Any, key_prefix: str) -> None:
        self._engine = engine
        self._client = client
        self._key = f"{key_prefix}unhurried:direct-records"
        self._turns = f"{key_prefix}unhurried:direct-turn:"
        self._give_back = client.register_script(_GIVE_BACK)

    def known(self, draft: JobDraft) -> JobsEnd | None:
        """The end of a keyed job that has one already, or an answer that the workload reuses; None where
        the provider must be asked.

        The same key with another request is a conflict. A ledger that is down is no reason to make a
        user wait: the call goes on without it.
        """
        if draft.key is None and draft.sharing.reuse_within is None:
            return None
        try:
            with self._engine.connect() as connection:
                reused = sharing.answered(connection, [draft], at=ledger.now(connection))
                other = reused.get(draft.id)
                if other is None and draft.key is None:
                    return None
                found = direct.find(connection, other.job_id if other is not None else draft.id)
        except DBAPIError:
            tell("ledger_down", warning=True, where="direct")
            return None
        if found is None:
            return None
        fingerprint, end = found
        if fingerprint != draft.fingerprint:
            message = f"idempotency key {draft.key!r} already names a job with another request"
            return Failure({"code": "idempotency_conflict", "message": message})
        return ends.of_job(end, draft.on_failure) if end is not None else None

    @contextmanager
    def turn(self, job_id: UUID, *, for_s: float) -> Iterator[bool]:
        """Whether nobody else asks for this job meanwhile, in any process; for `for_s` seconds at most."""
        key, token = f"{self._turns}{job_id}", uuid4().hex
        is_mine = bool(self._client.set(key, token, nx=True, px=int(for_s * 1000)))
        try:
            yield is_mine
        finally:
            if is_mine:
                with suppress(redis.RedisError):
                    # It ends by itself; an answer in hand is worth more.
                    self._give_back(keys=[key], args=[token])

    def record(self, record: DirectRecord) -> None:
        """Record one call; while the ledger does not take it, it waits in Redis for the next sweep.

        Whatever the reason: the answer has been paid for, and a user waits.
        """
        rows = record.rows()
        try:
            with self._engine.begin() as connection:
                direct.insert_rows(connection, rows)
        except DBAPIError:
            with self._client.pipeline(transaction=True) as pipe:
                pipe.rpush(self._key, json.dumps(rows))
                pipe.ltrim(self._key, -_WAITING_MAX, -1)
                waiting_count, _ = pipe.execute()
            tell("record_waits", warning=True, job_id=str(record.draft.id))
            if waiting_count > _WAITING_MAX:
                tell("record_dropped", warning=True, records_count=waiting_count - _WAITING_MAX)

    def sweep(self) -> int:
        """Write what waits in Redis; how many calls that were. A crash in between repeats one.

        One that no column can hold costs itself alone: it is kept for people.
        """
        written = 0
        for _ in range(_SWEEP_MAX):
            waiting = self._client.lindex(self._key, 0)
            if waiting is None:
                break
            try:
                with self._engine.begin() as connection:
                    direct.insert_rows(connection, json.loads(waiting))
                written += 1
            except DataError as refused:
                self._keep_aside(waiting, refused)
            self._client.lrem(self._key, 1, waiting)
        return written

    def _keep_aside(self, waiting: bytes, refused: DataError) -> None:
        reason = f"the ledger cannot hold it: {ledger.cause(refused)}"
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            quarantine.keep(connection, source=_SOURCE, reason=reason, raw=waiting, at=now)
        tell("quarantined", warning=True, source=_SOURCE, reason=reason)
