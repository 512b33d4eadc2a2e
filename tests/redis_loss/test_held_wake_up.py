"""A worker that holds a wake-up when Redis dies waits for it, and goes on."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest
import redis

from app.celery import COMPLETE_QUEUE, build, wake
from app.settings import Settings
from dev.fault_proxy import Deed, Fault, FaultProxy
from dev.servers import Server, start_redis
from dev.stack import Stack
from tests.client.apps import closed
from tests.redis_loss.conftest import port_of
from tests.support.waiting import wait_until

WITHIN_S: Final = 120.0
#: As many wake-ups as the completer has threads: it acknowledges them as it begins with them.
BUSY: Final = 2
_WAITS: Final = re.compile(rb"BRPOP")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The only Redis there is."""
    with start_redis(tmp_path / "redis") as found:
        yield found


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    """Between the completer and Redis."""
    with FaultProxy(port_of(server.url)) as found:
        yield found


@pytest.fixture
def stack(tmp_path: Path, proxy: FaultProxy) -> Iterator[Stack]:
    """A completer alone, without beat: nobody wakes it but the test."""
    with Stack(
        directory=tmp_path,
        processes=["completer"],
        environment={"UNHURRIED_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"},
        simulator=False,
        mail=False,
    ) as running:
        yield running


def test_a_worker_survives_a_redis_that_dies_while_it_holds_a_wake_up(
    stack: Stack, server: Server, proxy: FaultProxy
) -> None:
    """
    Its connection for remote control breaks while it waits for the next message; it works once Redis is back.
    """
    with ledger_locked(stack), redis.Redis.from_url(server.url) as client:
        for _ in range(BUSY):
            send_wake_up(server)
        wait_until(lambda: has_begun(stack, client), within_s=WITHIN_S, what="two rounds")
        send_wake_up(server)
        wait_until(lambda: held(client) == 1, within_s=WITHIN_S, what="a held wake-up")
        # The one read that hears nothing of it: what else breaks then is noticed before.
        waiting = proxy.arm(Fault(request=_WAITS, deed=Deed.HOLD))
        assert waiting.struck.wait(WITHIN_S)
        server.crash()
        completer = stack.process("completer")
        wait_until(
            lambda: "Cannot connect" in said(stack) or "Unrecoverable" in said(stack),
            within_s=WITHIN_S,
            what="another try to connect",
        )
        server.start_again()

    send_wake_up(server)
    with redis.Redis.from_url(server.url) as client:
        wait_until(
            lambda: not completer.alive or is_idle(client), within_s=WITHIN_S, what="the next look"
        )
    completer.require_alive()


@contextmanager
def ledger_locked(stack: Stack) -> Iterator[None]:
    """Whoever begins a round stands in it until the end."""
    url = stack.variables["UNHURRIED_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE ticket, redis_mark IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def send_wake_up(server: Server) -> None:
    """One message, straight to Redis."""
    app = build(Settings(redis_url=server.url))
    try:
        wake(app, "complete", COMPLETE_QUEUE)
    finally:
        closed(app)


def has_begun(stack: Stack, client: redis.Redis) -> bool:
    """Whether it has taken as many as it has threads, and holds none."""
    return said(stack).count("received") == BUSY and is_idle(client)


def is_idle(client: redis.Redis) -> bool:
    """Whether no message waits, and none is held."""
    return client.llen(COMPLETE_QUEUE) == 0 and held(client) == 0


def held(client: redis.Redis) -> int:
    """Messages that were taken and not acknowledged."""
    return client.zcard("unhurried.unacked_index")


def said(stack: Stack) -> str:
    """Its log."""
    return stack.process("completer").log.read_text("utf-8", "replace")
