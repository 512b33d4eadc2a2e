"""One account's rate limits, shared by every process through Redis.

A token bucket for requests and one for tokens, both refilled continuously by Redis's own clock. A share
of each is kept for users who wait: near-real-time work never takes it. A provider's Retry-After closes
the account for everybody until it is over.
"""

from dataclasses import dataclass
from typing import Any, Final

from app.settings import RateLimit

_TAKE: Final = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local closed = tonumber(redis.call('HGET', KEYS[1], 'closed_until') or '0')
if closed > now then return tostring(closed - now) end

local reserved = tonumber(ARGV[1])
local wait = 0
local levels = {}
for i = 0, 1 do
  local capacity, cost = tonumber(ARGV[2 + i * 2]), tonumber(ARGV[3 + i * 2])
  if capacity > 0 then
    local level = tonumber(redis.call('HGET', KEYS[1], 'level' .. i) or capacity)
    local at = tonumber(redis.call('HGET', KEYS[1], 'at' .. i) or now)
    level = math.min(capacity, level + (now - at) * capacity / 60)
    local floor = capacity * reserved
    -- A call dearer than the whole limit goes when everything it may use is free.
    local needed = math.min(cost, capacity - floor)
    wait = math.max(wait, (floor + needed - level) * 60 / capacity)
    levels[i] = level - cost
  end
end
if wait > 0 then return tostring(wait) end
for i, level in pairs(levels) do
  redis.call('HSET', KEYS[1], 'level' .. i, tostring(level), 'at' .. i, tostring(now))
end
redis.call('EXPIRE', KEYS[1], 3600)
return '0'
"""

_CLOSE: Final = """
local clock = redis.call('TIME')
local until_ = tonumber(clock[1]) + tonumber(ARGV[1])
local closed = tonumber(redis.call('HGET', KEYS[1], 'closed_until') or '0')
if until_ > closed then redis.call('HSET', KEYS[1], 'closed_until', tostring(until_)) end
redis.call('EXPIRE', KEYS[1], 7200)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Whose limit it is."""

    provider: str
    account: str

    @property
    def name(self) -> str:
        """As settings name it: `provider/account`."""
        return f"{self.provider}/{self.account}"


class Limits:
    """The limits of all accounts. One round trip a call; thread-safe."""

    def __init__(
        self, *, client: Any, key_prefix: str, limits: dict[str, RateLimit], sync_share: float
    ) -> None:
        self._prefix = f"{key_prefix}unhurried:limit:"
        self._limits = limits
        self._sync_share = sync_share
        self._take = client.register_script(_TAKE)
        self._close = client.register_script(_CLOSE)

    def take(self, account: Account, *, tokens: int, user_waits: bool) -> float:
        """Take one request and its tokens: 0 where it may go now, else seconds to wait, nothing taken."""
        limit = self._limits.get(account.name, RateLimit())
        reserved = 0.0 if user_waits else self._sync_share
        wait = self._take(
            keys=[self._prefix + account.name],
            args=[
                reserved,
                limit.requests_per_minute or 0,
                1,
                limit.tokens_per_minute or 0,
                tokens,
            ],
        )
        return float(wait)

    def close(self, account: Account, *, for_s: float) -> None:
        """Let nobody call before `for_s` seconds are over: the provider has asked for it."""
        self._close(keys=[self._prefix + account.name], args=[for_s])
