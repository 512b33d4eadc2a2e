"""Callers' Celery apps: made current for a test, closed after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery, _state


@contextmanager
def calling(url: str, **settings: Any) -> Iterator[Celery]:
    """An app of a caller, the current one of this thread.

    It knows no stub until a handle is used: so it also stands for a process without the client.
    """
    state: Any = _state
    before = state._tls.current_app
    app = Celery("caller", set_as_current=False)
    app.conf.update({"broker_url": url, "result_backend": url, **settings})
    app.set_current()
    try:
        yield app
    finally:
        state._tls.current_app = before
        closed(app)


def closed(app: Celery) -> None:
    """Leave no socket behind."""
    # One that could not be made never connected.
    state: Any = app
    backend: Any = state._backend
    if "Redis" in type(backend).__name__:
        backend.result_consumer.stop()
        # Results that are collected later would connect again to unsubscribe.
        backend.result_consumer.subscribed_to.clear()
        backend.client.close()
    app.close()
