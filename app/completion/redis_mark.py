"""By what a Redis is known again: a mark of ours in it, and its own name for its history of writes.

A flush or an empty replacement takes the mark away, a replica that took over has another name. So whoever
keeps both can tell whether it is still the Redis that was looked at.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import redis

from app.ledger.redelivery import Mark

_KEY: Final = "unhurried:mark"


@dataclass(frozen=True, slots=True)
class Seen:
    """By what the Redis that answers now is known."""

    value: str | None
    replication_id: str | None

    def is_told(self, expected: Mark) -> bool:
        """Whether it is the one that was told, and has not forgotten."""
        if self.value != expected.value:
            return False
        # Neither is known where Redis does not say, and an older version of ours has not asked.
        known = self.replication_id is not None and expected.replication_id is not None
        return not known or self.replication_id == expected.replication_id


@dataclass(frozen=True, slots=True)
class Fence:
    """The Redis in which something may be published: one that has forgotten since takes nothing."""

    #: Where its mark lies.
    key: str
    mark: Mark


class RedisMark:
    """Reads and leaves the mark. Safe to share. Raises redis.RedisError where Redis is away."""

    def __init__(self, client: Any, key_prefix: str) -> None:
        self._client = client
        self._key = key_prefix + _KEY

    def seen(self) -> Seen:
        """What Redis shows now."""
        found = self._client.get(self._key)
        return Seen(found.decode() if found is not None else None, self._replication_id())

    def known_as(self) -> Mark | None:
        """The mark that Redis shows now; None where it shows none."""
        seen = self.seen()
        if seen.value is None:
            return None
        return Mark(value=seen.value, replication_id=seen.replication_id)

    def fence(self) -> Fence:
        """The Redis that answers now, by its mark, which is left there if it shows none.

        That hides no loss: the ledger expects another mark.
        """
        found = self.known_as()
        if found is None:
            self._client.set(self._key, uuid4().hex, nx=True)
            found = self.known_as()
        if found is None:
            raise redis.RedisError("Redis forgot the mark as soon as it was left")
        return Fence(self._key, found)

    def leave(self, seen: Seen) -> Mark:
        """Leave a new mark, in the place of what was `seen`."""
        value = uuid4().hex
        self._client.set(self._key, value)
        # The id that was read before: of a server that took over since, it is another one.
        return Mark(value=value, replication_id=seen.replication_id)

    def _replication_id(self) -> str | None:
        """Redis's own name for its history of writes; None where it does not say."""
        try:
            found = self._client.info("replication").get("master_replid")
        except redis.ResponseError:
            # INFO is closed to this user: the mark has to do.
            return None
        return str(found) if found else None
