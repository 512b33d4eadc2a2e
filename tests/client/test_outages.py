"""Redis trouble: one error of ours within seconds, never a hang of a web request."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import redis
from celery import Celery, chain, chord, group
from redis.exceptions import RedisError

from dev.fault_proxy import Deed, Fault, FaultProxy
from dev.servers import Server, start_redis
from tests.client.apps import calling
from tests.docs.tree import blocks, page
from tests.support.stopping import stopped
from tests.support.waiting import wait_until
from unhurried import CallError, ServiceUnavailable, email, follow, item, messages, steps

SAY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [], "tier": "sync"}
ENOUGH_S = 5.0
#: Connected, and then no answer: our own bound twice (one repetition), and some for a slow machine.
SILENT_S = 9.0
#: Far more than any of our bounds, and far less than Celery's.
ENDS_S: Final = 60.0
_ASK: Final[dict[str, Any]] = {**SAY, "tier": "batch"}
_CALL: Final = {"model": "m", "max_tokens": 9, "messages": []}


def _parts() -> list[Any]:
    return [messages.s(**_ASK), messages.s(**_ASK)]


#: What a caller may ask of the client package, by name.
WAYS: Final[dict[str, Callable[[], object]]] = {
    "delay": lambda: messages.delay(**SAY),
    "call": lambda: messages.call(**SAY),
    "group": lambda: group(_parts()).apply_async(),
    "chain": lambda: chain(messages.s(**_ASK), messages.s(**_ASK)).apply_async(),
    "chord": lambda: chord(_parts())(email.s(to="a@example.org")),
    "chord in a chain": lambda: chain(group(_parts()), messages.s(**_ASK)).apply_async(),
    "follow": lambda: follow(chord(_parts(), email.s(to="a@example.org"))).delay(),
    "bulk": lambda: messages.bulk([item(_CALL)], tier="batch"),
    "get": lambda: messages.job("any").get(timeout=5),
    "state": lambda: messages.job("any").state,
    "tier": lambda: messages.job("any").tier,
    "ready": lambda: messages.job("any").ready(),
    "result": lambda: messages.result("any"),
    "read": lambda: messages.read("any", max_staleness="1d"),
    "latest": lambda: messages.latest("notes", max_staleness="1d"),
    "results": lambda: list(messages.results("notes")),
    "cancel": lambda: messages.job("any").cancel(why="a test"),
    "expedite": lambda: messages.job("any").expedite(why="a test"),
    "due": lambda: messages.job("any").due("8h", why="a test"),
    "revoke": lambda: messages.job("any").revoke(),
    "run": lambda: messages.run("any").progress,
    "run's results": lambda: messages.run("any").results(),
    "run's cancel": lambda: messages.run("any").cancel(),
    "steps": lambda: steps("any"),
}


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


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A Redis of the test's own, which may be harmed."""
    with start_redis(tmp_path) as found:
        yield found


@pytest.mark.parametrize("host", ["refused", "silent"])
def test_nothing_waits_for_a_redis_that_was_never_there(
    host: str, request: pytest.FixtureRequest
) -> None:
    """Whatever is asked for ends in our error, which says what to do."""
    with ThreadPoolExecutor(len(WAYS)) as threads, calling(request.getfixturevalue(host)) as app:
        _require_unavailable(_ask_all(threads, app))


def test_nothing_waits_for_a_redis_that_falls_silent(server: Server) -> None:
    """Asked over connections that were made before, a host that hangs costs a bounded wait as well."""
    with ThreadPoolExecutor(len(WAYS)) as threads, calling(server.url) as app:
        _warm_up()
        with stopped(server.process):
            _require_unavailable(_ask_all(threads, app))


def test_who_waits_for_a_result_is_told_that_redis_fell_silent(server: Server) -> None:
    """A wait of minutes ends when Redis hangs, and not when the time is over."""
    with ThreadPoolExecutor(1) as threads, calling(server.url) as app:
        waiting = _begin(threads, app, lambda: messages.job("any").get(timeout=3600))
        with redis.Redis.from_url(server.url) as client:
            wait_until(lambda: _is_heard(client, "any"), within_s=ENDS_S, what="the wait")
        with stopped(server.process):
            _require_unavailable({"get": waiting})


def test_a_call_over_a_connection_that_fell_silent_goes_over_another(server: Server) -> None:
    """What answers no more is not waited for, and the call is there."""
    port = urlsplit(server.url).port
    assert port is not None
    with (
        FaultProxy(port) as proxy,
        ThreadPoolExecutor(1) as threads,
        calling(f"redis://127.0.0.1:{proxy.port}/0") as app,
        redis.Redis.from_url(server.url) as client,
    ):
        held = proxy.arm(Fault(request=re.compile(rb"LPUSH"), deed=Deed.HOLD))
        _begin(threads, app, lambda: messages.delay(**SAY)).result(ENDS_S)

        assert held.struck.is_set()
        assert client.llen("unhurried.sync") > 0


def test_the_documented_settings_bound_celerys_own_calls(server: Server) -> None:
    """What docs/calling.md has a caller set ends a chord of its own tasks as well."""
    (settings,) = (one for one in blocks(page("docs/calling.md"), "python") if "_socket_t" in one)
    with ThreadPoolExecutor(1) as threads, calling(server.url) as app:
        exec(settings, {"app": app})  # noqa: S102 - our own page
        leaf = app.task(name="leaf", lazy=False)(_leaf)
        own = chord([leaf.si(1), leaf.si(2)], leaf.s())
        own()
        with stopped(server.process):
            error = _begin(threads, app, own).exception(ENDS_S)

    assert isinstance(error, RuntimeError | OSError | RedisError)


def _leaf(part: object) -> object:
    """A task of the caller's own."""
    return part


def _warm_up() -> None:
    """Make every kind of connection that there is."""
    for name in ("delay", "chord", "bulk", "run's cancel", "revoke", "steps"):
        with suppress(CallError):  # no followed canvas
            WAYS[name]()


def _is_heard(client: redis.Redis, task_id: str) -> bool:
    """Whether somebody listens for the end of a task."""
    return client.pubsub_numsub(f"celery-task-meta-{task_id}")[0][1] > 0


def _ask_all(threads: ThreadPoolExecutor, app: Celery) -> dict[str, "Future[object]"]:
    return {name: _begin(threads, app, way) for name, way in WAYS.items()}


def _begin(threads: ThreadPoolExecutor, app: Celery, way: Callable[[], object]) -> "Future[object]":
    def ask() -> object:
        app.set_current()
        return way()

    return threads.submit(ask)


def _require_unavailable(asked: dict[str, "Future[object]"]) -> None:
    until = time.monotonic() + ENDS_S
    for name, future in asked.items():
        error = future.exception(max(until - time.monotonic(), 0.01))
        assert isinstance(error, ServiceUnavailable), f"{name}: {error!r}"
        assert re.search("repeat|again|later", str(error)), f"{name}: {error}"


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
