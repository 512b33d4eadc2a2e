"""Which Celery app a call is published through, and the Redis behind it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

from celery import Celery, current_app
from kombu import Producer, pools
from kombu.exceptions import OperationalError
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from unhurried.errors import ServiceUnavailable

#: A producer that is alone with Redis gives up within a few seconds.
_FAST: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2}

#: A web request must not hang on a Redis that is down.
RETRY_POLICY: Final = {
    "max_retries": 2,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.4,
}

#: Bounds of our own look at Redis. Celery's defaults wait two minutes for a host that is silent.
_CONNECT_S: Final = 1.5
_ANSWER_S: Final = 3.0

_clients: "WeakKeyDictionary[Celery, Any]" = WeakKeyDictionary()


def bound_app() -> Celery:
    """The caller's current app, or a private producer where UNHURRIED_BROKER_URL names a broker."""
    url = os.environ.get("UNHURRIED_BROKER_URL")
    if url:
        backend = os.environ.get("UNHURRIED_RESULT_BACKEND", url)
        return _private(url, backend, os.environ.get("UNHURRIED_KEY_PREFIX", ""))
    proxy: Any = current_app
    app: Celery = proxy._get_current_object()  # noqa: SLF001 - what the proxy stands for
    return app


def is_private() -> bool:
    """Whether calls go through a broker of their own."""
    return bool(os.environ.get("UNHURRIED_BROKER_URL"))


@cache
def _private(url: str, backend: str, prefix: str) -> Celery:
    # Without `fixups=[]`, Celery's Django fixup would make this the default app of every thread.
    app = Celery("unhurried-client", broker=url, backend=backend, set_as_current=False, fixups=[])
    prefixed = {"global_keyprefix": prefix} if prefix else {}
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_publish_retry_policy=_FAST,
        broker_transport_options={
            **_FAST,
            **prefixed,
            "socket_connect_timeout": 1.0,
            "socket_timeout": 5.0,
        },
        result_backend_transport_options={
            **prefixed,
            "retry_policy": {"max_retries": 0, "timeout": 1.0},
        },
        redis_socket_connect_timeout=1.0,
        redis_socket_timeout=5.0,
    )
    return app


def redis_of(app: Celery) -> Any:
    """A client of the app's result backend that gives up within seconds. Kept for each app."""
    client = _clients.get(app)
    if client is None:
        backend: Any = app.backend
        client = _clients[app] = _bounded(backend.client)
    return client


def _bounded(client: Any) -> Any:
    pool = client.connection_pool
    # A subclass (Sentinel) finds its server in a way of its own; copying its options would lose it.
    if type(pool) is not ConnectionPool:
        return client
    options = {
        **pool.connection_kwargs,
        "socket_connect_timeout": _CONNECT_S,
        "socket_timeout": _ANSWER_S,
        # Once more at once: an idle connection that the server has closed is no outage.
        "retry": Retry(NoBackoff(), 1),
    }
    return Redis(connection_pool=ConnectionPool(connection_class=pool.connection_class, **options))


def require_redis(app: Celery) -> None:
    """Raise RedisError within seconds where Redis does not answer: before Celery asks it, which waits for long."""
    redis_of(app).ping()


@contextmanager
def producer_of(app: Celery) -> Iterator[Producer]:
    """A producer for the app's broker that gives up within seconds, from a pool of such ones.

    Celery's own waits for an answer for ever, unless the app's settings say otherwise.
    """
    bounds = {"socket_connect_timeout": _CONNECT_S, "socket_timeout": _ANSWER_S}
    options = {**(app.conf.broker_transport_options or {}), **bounds}
    # Sets the limit of all pools as the app wants it.
    _ = app.pool
    connection = app.connection_for_write(transport_options=options)
    with pools.producers[connection].acquire(block=True) as producer:
        yield producer


def key_prefix(app: Celery) -> str:
    """What stands before our keys in this app's Redis: its `global_keyprefix`, letter for letter.

    Celery puts an underscore after a prefix that ends in a letter, on its own result keys only; the
    service writes and reads ours without one.
    """
    options = app.conf.get("result_backend_transport_options") or {}
    return str(options.get("global_keyprefix") or "")


@contextmanager
def redis_answers(remedy: str) -> Iterator[None]:
    """Turn every way in which Celery, kombu and redis-py report an outage into ServiceUnavailable."""
    try:
        yield
    # RuntimeError is what Celery's Redis backend raises once its retries are used up.
    except (OperationalError, RedisError, RuntimeError, OSError) as error:
        raise ServiceUnavailable(
            f"Redis does not answer ({type(error).__name__}: {error}); {remedy}"
        ) from error
