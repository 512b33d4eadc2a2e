"""Which Celery app a call is published through, and the Redis behind it."""

import os
from functools import cache
from typing import Any, Final

from celery import Celery, current_app

#: A producer that is alone with Redis gives up within a few seconds.
_FAST: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2}


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
    """The Redis client of the app's result backend."""
    backend: Any = app.backend
    return backend.client


def key_prefix(app: Celery) -> str:
    """What stands before our keys in this app's Redis."""
    options = app.conf.get("result_backend_transport_options") or {}
    return str(options.get("global_keyprefix") or "")
