"""Revokes of Celery tasks: noted by every worker of ours that hears them, honoured from the ledger.

A revoke is a broadcast: workers that are down do not hear it, and Celery keeps it nowhere. One that any of
ours has heard lies in Redis until the ledger has it, and is honoured however much later its message comes.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from sqlalchemy import Engine

from app.ledger import engine as ledger
from app.ledger import revoking, submissions
from app.observe.log import tell

#: Revoked ids, the newest last; the oldest are dropped beyond the bound.
_KEY: Final = "unhurried:revoked"
_KEY_MAX: Final = 100_000
#: What an index of the ledger can hold; a task id is a tenth of it.
_NAME_CHARACTERS_MAX: Final = 500
_PORTION: Final = 500
_PORTIONS_MAX: Final = 20


def heard(client: Any, key_prefix: str, task_ids: Iterable[str]) -> int:
    """Keep what was revoked for whoever honours it; how many are new. Safe to repeat in every worker."""
    now = time.time()
    named = {one: now for one in task_ids if _is_name(one)}
    if not named:
        return 0
    with client.pipeline(transaction=False) as pipe:
        pipe.zadd(key_prefix + _KEY, named, nx=True)
        pipe.zremrangebyrank(key_prefix + _KEY, 0, -_KEY_MAX - 1)
        added: int = pipe.execute()[0]
    return added


def _is_name(task_id: object) -> bool:
    if not isinstance(task_id, str) or not 0 < len(task_id) <= _NAME_CHARACTERS_MAX:
        return False
    return "\0" not in task_id and task_id.isprintable()


class Revocations:
    """Honours revokes. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self, *, engine: Engine, client: Any, key_prefix: str, wake: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._client = client
        self._key = key_prefix + _KEY
        self._wake = wake

    def run(self) -> int:
        """Take in what was heard, and end the tickets of it; how many there were."""
        count = 0
        for _ in range(_PORTIONS_MAX):
            found = [one.decode() for one in self._client.zrange(self._key, 0, _PORTION - 1)]
            count += self._honour(found)
            if not found:
                break
            self._client.zrem(self._key, *found)
        if count:
            tell("revoked", tickets_count=count)
            self._wake()
        return count

    def _honour(self, task_ids: list[str]) -> int:
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            if task_ids:
                revoking.note(connection, task_ids, at=now)
            # With them those whose messages were admitted while the revoke was noted.
            missed = revoking.unhonoured(connection, at=now, limit=_PORTION)
            wanted = sorted({*task_ids, *missed})
            ended = revoking.honour(connection, wanted, at=now) if wanted else 0
            if ended:
                submissions.note_unwanted(connection, at=now)
        return ended
