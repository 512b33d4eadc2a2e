"""A Redis transport that delivers each task of a canvas once, however often its publisher publishes it.

Plain Celery fires a chord's body twice when the process dies between publishing it and cleaning up,
and its successor completes the last part again. Here the list push and the mark "this one published this
task" are one script: the second push does nothing. The service's own wake-ups are let through
unmarked, since losing or repeating one is harmless.

A publisher is the ticket whose end is told, or the chord whose last step is taken. The task's id alone would
not do: of a chain that is applied twice, Celery gives the last task the same id both times.

The service's workers consume through it as well: one that holds a wake-up outlives its Redis.

Named by URL scheme (`once+...` would be stripped by kombu, so `unhurried-redis://`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import redis
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, Transport
from kombu.utils.json import dumps
from sqlalchemy import Engine

from app.completion import canvas
from app.completion.redis_mark import Fence
from app.ledger import redelivery
from app.ledger.redelivery import Mark, Publication
from app.observe.quiet import summary
from app.policy import tracing
from unhurried.contract import REDIS_LIFETIME_S

SCHEME: Final = "unhurried-redis"

#: Queues of wake-ups: they carry nothing that is not in the ledger.
WAKE_UP_QUEUES: Final = frozenset(
    {
        "unhurried.pack",
        "unhurried.collect",
        "unhurried.complete",
        "unhurried.control",
        "unhurried.notify-due",
    }
)

_PUSH_ONCE: Final = """
if ARGV[3] ~= '' then
  if redis.call('GET', KEYS[3]) ~= ARGV[3] then return -1 end
  local said = ARGV[4] ~= '' and redis.pcall('INFO', 'replication')
  if type(said) == 'string' and said:match('master_replid:(%w+)') ~= ARGV[4] then return -1 end
end
local mark, holder = KEYS[2], redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[5] and holder ~= '1' then
  mark = KEYS[4]
end
if redis.call('SET', mark, ARGV[5], 'NX', 'EX', ARGV[2]) then
  redis.call('LPUSH', KEYS[1], ARGV[1])
  return 1
end
return 0
"""
_FORGOTTEN: Final = -1
#: What an earlier version, which asked for the task's id alone, left as the mark.
_ANYBODY: Final = "1"

IsKnown = Callable[[Publication], bool]


class RedisForgotError(redis.RedisError):
    """Redis is not the one any more in which nothing had been published: nothing went out now."""


#: For what nobody watches.
_ANYWHERE: Final = Fence(key="", mark=Mark(value="", replication_id=None))


@dataclass(frozen=True, slots=True)
class Publications:
    """Task ids of a canvas that went out while they were watched."""

    #: Whether the ledger remembers one from before; Redis may have forgotten its mark.
    is_known: IsKnown
    fence: Fence
    made: list[Publication] = field(default_factory=list)


_WATCHED: ContextVar[Publications | None] = ContextVar("publications", default=None)

#: Who publishes in this thread; None outside of completion, where it is the task under way.
_PUBLISHER: ContextVar[str | None] = ContextVar("publisher", default=None)

#: The trace that what this thread publishes belongs to.
_TRACE: ContextVar[Mapping[str, str]] = ContextVar("trace", default={})  # noqa: B039 - never written to


def carry(headers: Mapping[str, Any]) -> None:
    """Let what this thread publishes from now on go on with the trace that a message's headers name."""
    _TRACE.set(tracing.carried(headers))


def of_chord(group_id: str) -> str:
    """The publisher of what follows a chord, whichever of its parts ends last."""
    return f"chord/{group_id}"


@contextmanager
def publishing_as(publisher: str) -> Iterator[None]:
    """Let what this thread publishes be this one's, under the same ids whenever it does so again."""
    token = _PUBLISHER.set(publisher)
    try:
        with canvas.same_ids(publisher):
            yield
    finally:
        _PUBLISHER.reset(token)


def never_before(_one: Publication) -> bool:
    """For what goes out for the first time: nothing of it is known."""
    return False


def noted_in(engine: Engine) -> IsKnown:
    """Whether the ledger remembers that a task of a canvas went out."""

    def is_known(one: Publication) -> bool:
        with engine.begin() as connection:
            return redelivery.is_published(connection, one)

    return is_known


def is_pushed(client: Any, key_prefix: str, one: Publication) -> bool:
    """Whether Redis remembers that a task of a canvas went out."""
    mark, own = _marks(key_prefix, one)
    holder = client.get(mark)
    if holder is None:
        return False
    return holder.decode() in (_ANYBODY, one.publisher) or bool(client.exists(own))


def _marks(key_prefix: str, one: Publication) -> tuple[str, str]:
    """Where its mark is: the task's own, or what another publisher of the same task finds beside it."""
    mark = f"{key_prefix}unhurried:once:{one.task_id}"
    return mark, f"{mark} {one.publisher}"


@contextmanager
def watched(is_known: IsKnown, fence: Fence) -> Iterator[Publications]:
    """Collect what this thread publishes, and hold back what `is_known`.

    The `fence` is taken before the ledger is asked what to publish. What was published before that, the
    ledger knows; since then, Redis: one that has forgotten meanwhile raises RedisForgotError, since whoever
    stood still in between knows from neither.
    """
    publications = Publications(is_known, fence)
    token = _WATCHED.set(publications)
    try:
        yield publications
    finally:
        _WATCHED.reset(token)


class OnceChannel(Channel):
    """kombu's Redis channel, except that a task id of a canvas is pushed once, and that it may be closed twice."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's signature
        """Where to connect. A channel whose connection is closed is a lost connection: kombu raises
        AttributeError, of which a worker dies that gives back what it holds after its Redis is gone.
        """
        if self.connection is None or self.connection.client is None:
            raise redis.ConnectionError("the connection to Redis is closed")
        found: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]  # absent from the stubs
        return found

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        task_id = (message.get("headers") or {}).get("id")
        batched = "_publish_batch" in options
        if task_id is None or queue in WAKE_UP_QUEUES or batched:
            super()._put(queue, message, **options)
            return
        if not canvas.is_id(task_id):
            # Once it had gone out, the ledger could not note that: nor anything else that is noted with it.
            raise ValueError("a task id that the ledger cannot hold")
        publications = _WATCHED.get()
        published = Publication(publisher=_publisher(message["headers"]), task_id=task_id)
        if publications is not None and publications.is_known(published):
            return
        _hide_arguments(message["headers"])
        message["headers"].update(tracing.goes_on(message["headers"], _TRACE.get()))
        priority = self._get_message_priority(message, reverse=False)
        prefix = self.global_keyprefix
        fence = publications.fence if publications is not None else _ANYWHERE
        mark, own = _marks(prefix, published)
        with self.conn_or_acquire() as client:
            pushed = client.execute_command(
                "EVAL",
                _PUSH_ONCE,
                4,
                prefix + str(self._q_for_pri(queue, priority)),  # type: ignore[attr-defined]  # absent from the stubs
                mark,
                fence.key,
                own,
                dumps(message),
                REDIS_LIFETIME_S,
                fence.mark.value,
                fence.mark.replication_id or "",
                published.publisher,
            )
        if pushed == _FORGOTTEN:
            raise RedisForgotError("Redis has forgotten since this was begun; it is begun anew")
        if publications is not None:
            publications.made.append(published)


def _publisher(headers: Mapping[str, Any]) -> str:
    """Whoever was named; else the task under way, which Celery names in what it publishes."""
    return _PUBLISHER.get() or str(headers.get("parent_id") or "")


def _hide_arguments(headers: dict[str, Any]) -> None:
    """What follows a call gets its answer as an argument, and Flower would show it."""
    for name in ("argsrepr", "kwargsrepr"):
        if name in headers:
            headers[name] = summary(str(headers[name]))


class OnceTransport(Transport):
    """kombu's Redis transport with that channel."""

    Channel = OnceChannel


def register() -> None:
    """Make kombu know the scheme, and the canvas its ids. May be repeated."""
    canvas.register()
    TRANSPORT_ALIASES[SCHEME] = f"{__name__}:{OnceTransport.__name__}"


def broker_url(redis_url: str) -> str:
    """The URL to publish and consume through, for a Redis URL."""
    _, _, rest = redis_url.partition("://")
    return f"{SCHEME}://{rest}"
