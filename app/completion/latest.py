"""Point at the newest answer of each workload and subject, so that a client finds it in Redis alone."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from unhurried.contract import REDIS_LIFETIME_S
from unhurried.readers import latest_key

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: A late completion of an older answer, or a repeated one, never takes the pointer back.
_POINT: Final = """
local known = redis.call('HGET', KEYS[1], 'as_of_us')
if known and tonumber(known) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'as_of_us', ARGV[1], 'task_id', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""


class Latest:
    """The pointers. Newest is by `as_of`, not by when the model answered."""

    def __init__(self, *, client: Any, key_prefix: str) -> None:
        self._key_prefix = key_prefix
        self._point = client.register_script(_POINT)

    def ended(self, task_id: str, wire: Mapping[str, Any], *, tenant: str) -> None:
        """Note the result of a task, if it is a workload's answer. May be repeated in any order."""
        workload, as_of = wire.get("workload"), wire.get("as_of")
        if wire.get("error") is None and workload is not None and as_of is not None:
            self.point(
                task_id,
                tenant=tenant,
                workload=workload,
                subject=wire.get("subject"),
                as_of=datetime.fromisoformat(as_of),
            )

    def point(
        self, task_id: str, *, tenant: str, workload: str, subject: str | None, as_of: datetime
    ) -> None:
        """Point at this task's result, unless a newer one is known."""
        key = self._key_prefix + latest_key(tenant=tenant, workload=workload, subject=subject)
        as_of_us = (as_of - _EPOCH) // timedelta(microseconds=1)
        self._point(keys=[key], args=[as_of_us, task_id, REDIS_LIFETIME_S])
