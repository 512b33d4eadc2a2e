"""Celery itself, with completion's own backend and transport, whose Redis is a schedule's memory."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Final

import redis
from celery import Celery
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.memory import Channel, Transport

from app.completion.backend import HomewardRedisBackend
from app.completion.once import OnceChannel
from tests.simulation.redis_memory import RedisMemory

_SCHEME: Final = "simulated"
#: Virtual outages pass in virtual time: waiting really would only be slow.
_AT_ONCE: Final = {"max_retries": 10, "interval_start": 0, "interval_step": 0, "interval_max": 0}


class Stage:
    """Which memory stands behind the app now."""

    memory: ClassVar[RedisMemory | None] = None


class _Channel(Channel):
    """kombu's in-memory channel with the production code that pushes a task id once."""

    global_keyprefix = ""
    _put = OnceChannel._put

    def _q_for_pri(self, queue: str, _priority: int) -> str:
        return queue

    def conn_or_acquire(self) -> AbstractContextManager[RedisMemory | None]:
        return nullcontext(Stage.memory)


class _Transport(Transport):
    Channel = _Channel
    connection_errors = (*Transport.connection_errors, redis.ConnectionError)


class _Backend(HomewardRedisBackend):
    """Production's, speaking to the stage."""

    @property
    def _plain_client(self) -> Any:
        return Stage.memory

    def on_task_call(self, producer: Any, task_id: str) -> Any:
        """As in a worker: a task that publishes another does not subscribe to its result."""
        del producer, task_id
        return {}

    def add_pending_result(self, result: Any, weak: bool = False, **_: Any) -> Any:  # noqa: FBT001, FBT002 - Celery's own signature
        """Nor to those of a group."""
        del weak
        return result


def build() -> Celery:
    """The one app of this process, as `app.celery` configures it where completion is concerned."""
    TRANSPORT_ALIASES[_SCHEME] = f"{__name__}:{_Transport.__name__}"
    built = Celery("simulated", broker=f"{_SCHEME}://")
    built.conf.update(
        result_backend=f"{__name__}:{_Backend.__name__}+redis://localhost",
        task_default_queue="celery",
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        result_chord_join_timeout=10,
        task_publish_retry_policy=_AT_ONCE,
        result_backend_transport_options={
            "retry_policy": _AT_ONCE,
            "result_chord_ordered": True,
        },
    )
    return built


APP: Final = build()
