"""Redis trouble: one error of ours within seconds, never a hang of a web request."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import group

from tests.client.apps import calling
from unhurried import ServiceUnavailable, messages

SAY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [], "tier": "sync"}
ENOUGH_S = 5.0
#: Connected, and then no answer: our own bound twice (one repetition), and some for a slow machine.
SILENT_S = 9.0


@pytest.fixture
def refused() -> Iterator[str]:
    """A port that is taken and refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{taken.getsockname()[1]}/0"


@pytest.fixture
def silent() -> Iterator[str]:
    """A host that accepts connections and never says a word."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(32)
        yield f"redis://127.0.0.1:{mute.getsockname()[1]}/0"


def test_a_refused_connection_is_service_unavailable_within_seconds(refused: str) -> None:
    """Every way of publishing, waiting and reading says so, and that repeating is safe."""
    with calling(refused):
        for way in (
            lambda: messages.delay(**SAY),
            lambda: messages.call(**SAY),
            lambda: group([messages.s(**SAY)]).apply_async(),
        ):
            started = time.monotonic()
            with pytest.raises(ServiceUnavailable, match="idempotency_key") as raised:
                way()
            assert time.monotonic() - started < ENOUGH_S
            assert raised.value.retryable


def test_a_silent_host_is_service_unavailable_within_seconds(silent: str) -> None:
    """A host that swallows packets costs a bounded wait, not Celery's two minutes."""
    with calling(silent):
        started = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            messages.delay(**SAY)
        assert time.monotonic() - started < SILENT_S


def test_reading_without_redis_is_service_unavailable(refused: str) -> None:
    """A job's state and result raise our error, not redis-py's or Celery's."""
    with calling(refused):
        job = messages.job("any")
        looks: list[Callable[[], object]] = [
            lambda: job.state,
            job.ready,
            job.result,
            lambda: job.tier,
            lambda: messages.result("any"),
            lambda: messages.latest("notes", max_staleness="1d"),
            lambda: messages.run("any").progress,
        ]
        for look in looks:
            with pytest.raises(ServiceUnavailable, match=r"read it later|look again"):
                look()
