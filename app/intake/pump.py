"""Take messages from the Redis lists into the ledger without ever holding the only copy in memory.

kombu pops a message before it records it elsewhere, and loses it when the process is killed in
between. Here one script moves messages to a list of this pump's own; they are removed only after the
ledger has committed them. A pump that died leaves its list behind, and the next one admits it again:
tickets are unique, so that changes nothing.
"""

import time
from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DataError

from app.intake import messages
from app.intake.announcer import Announcer
from app.intake.unadmitted import Unadmitted
from app.ledger import admission, quarantine
from app.ledger import engine as ledger
from app.ledger.arrivals import Admission, Admitted
from app.observe.log import tell
from app.policy import versions
from app.policy.admission import Refusal
from app.policy.rules import Rules

#: kombu keeps each priority in a list of its own, and callers may use any of ten steps.
_PRIORITY_SEPARATOR: Final = "\x06\x16"
_PRIORITY_STEPS: Final = range(10)
#: What is kept aside came from here.
_SOURCE: Final = "intake"
#: Messages of one round weigh no more than this, but for the last one: read, each takes some four times as much
#: memory, and a round that its process dies of would be taken up again by the next, and kill that as well.
_BYTES_MAX: Final = 16 * 1024 * 1024
#: Lists of a dead pump that one sweep admits.
_STALE_LISTS_MAX: Final = 100

_RESERVE: Final = """
local left, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local taken = {}
for i = 3, #KEYS do
  while left > 0 and room > 0 do
    local found = redis.call('RPOP', KEYS[i])
    if not found then break end
    taken[#taken + 1] = found
    left, room = left - 1, room - #found
  end
end
if #taken > 0 then
  for i = 1, #taken, 1000 do
    redis.call('RPUSH', KEYS[1], unpack(taken, i, math.min(i + 999, #taken)))
  end
  redis.call('ZADD', KEYS[2], redis.call('TIME')[1], KEYS[1])
end
return taken
"""


class Pump:
    """One pump over some queues. Any number may run at once; each message goes to one of them."""

    def __init__(
        self,
        *,
        client: redis.Redis,
        engine: Engine,
        announce: Announcer,
        unadmitted: Unadmitted,
        queues: Sequence[str],
        rules: Rules,
        key_prefix: str,
        messages_max: int,
        stale_after_s: float,
    ) -> None:
        self._client = client
        self._engine = engine
        self._announce = announce
        self._unadmitted = unadmitted
        self._rules = rules
        self._messages_max = messages_max
        self._stale_after_s = stale_after_s
        self._index = f"{key_prefix}unhurried:intake"
        self._prefix = f"{key_prefix}unhurried:intake:"
        self._queues = [
            f"{key_prefix}{queue}" + (f"{_PRIORITY_SEPARATOR}{step}" if step else "")
            for queue in queues
            for step in _PRIORITY_STEPS
        ]
        self._reserve = client.register_script(_RESERVE)

    def run_once(self) -> int:
        """Take up to `messages_max` messages in, fewer where they are heavy; how many there were.

        Safe to kill anywhere.
        """
        self._unadmitted.look(self._queues, reserved=self._index)
        reserved_at = f"{self._prefix}{uuid4()}"
        raw = self._reserve(
            keys=[reserved_at, self._index, *self._queues],
            args=[self._messages_max, _BYTES_MAX],
        )
        if raw:
            self._take_in(raw)
            self._forget(reserved_at)
        return len(raw)

    def present(self) -> None:
        """Say that there is an intake here."""
        self._announce.present()

    def recover(self) -> int:
        """Admit what pumps that died had reserved; how many messages there were."""
        oldest = time.time() - self._stale_after_s
        stale: Any = self._client.zrangebyscore(
            self._index, "-inf", oldest, start=0, num=_STALE_LISTS_MAX
        )
        count = 0
        for key in stale:
            raw: Any = self._client.lrange(key, 0, -1)
            if raw:
                self._take_in(raw)
            self._forget(key)
            count += len(raw)
        if count:
            tell("intake_recovered", warning=True, messages_count=count)
        return count

    def _take_in(self, raw: Sequence[bytes]) -> None:
        try:
            readable, admitted = self._admit(raw)
        except DataError as refused:
            self._divide(raw, refused)
            return
        self._announce.admitted(admitted)
        tell(
            "admitted",
            messages_count=len(raw),
            ready_count=sum(one.ready for one in admitted),
            shared_count=sum(one.shared for one in admitted),
            unreadable_count=len(raw) - len(readable),
        )
        _tell_of_newer(readable)

    def _admit(self, raw: Sequence[bytes]) -> tuple[list[Admission], list[Admitted]]:
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            readable: list[Admission] = []
            for message in raw:
                try:
                    readable.append(messages.read(message, now=now, rules=self._rules))
                except messages.Unreadable as reason:
                    quarantine.keep(
                        connection, source=_SOURCE, reason=str(reason), raw=message, at=now
                    )
            return readable, admission.admit(connection, readable, at=now)

    def _divide(self, raw: Sequence[bytes], refused: DataError) -> None:
        """One message that no column can hold costs itself alone: found by halving, kept for people."""
        if len(raw) > 1:
            middle = len(raw) // 2
            self._take_in(raw[:middle])
            self._take_in(raw[middle:])
            return
        reason = f"the ledger cannot hold it: {type(refused.orig).__name__}"
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            quarantine.keep(connection, source=_SOURCE, reason=reason, raw=raw[0], at=now)
        tell("quarantined", warning=True, source=_SOURCE, reason=reason)

    def _forget(self, key: str | bytes) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.zrem(self._index, key)
            pipe.execute()


def _tell_of_newer(admissions: Sequence[Admission]) -> None:
    """A person has deployed callers before their service: each of their calls fails until it follows."""
    decisions = [one.decision for one in admissions]
    count = sum(isinstance(one, Refusal) and one.code == versions.REFUSED_CODE for one in decisions)
    if count:
        tell("contract_refused", warning=True, messages_count=count)
