"""A Redis that is full, or gone at one moment, stops nobody who takes work in: that is what empties it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import redis
from celery import Celery

from app.celery import COMPLETE_QUEUE, build, wake
from app.intake import loop
from app.intake.announcer import Announcer
from app.settings import Settings
from tests.client.apps import closed
from tests.completion.conftest import Service, a_pump
from tests.completion.test_poison import QUEUE, raw, states, with_argument
from tests.support.waiting import wait_until

CALLS = 40
#: A request of some weight: Redis is full of these.
HEAVY = with_argument("system", "x" * 20_000)


@contextmanager
def full(client: redis.Redis) -> Iterator[None]:
    """Nothing that needs memory is taken any more."""
    used = int(client.info("memory")["used_memory"])
    client.config_set("maxmemory", used - 200_000)
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            client.set("anything", "at all")
        yield
    finally:
        client.config_set("maxmemory", 0)


@contextmanager
def pumping(service: Service, app: Celery) -> Iterator[threading.Thread]:
    """An intake as its process runs it, which wakes completion through `app`."""
    announcer = Announcer(
        app=service.app,
        client=service.client,
        key_prefix="",
        wake=partial(wake, app, "complete", COMPLETE_QUEUE),
    )
    pump = a_pump(service.engine, announcer, service.client, known_as=service.mark.known_as)
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(pump, stop))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join()


def has_room(client: redis.Redis) -> bool:
    """Whether it takes something."""
    try:
        return bool(client.set("anything", "once more"))
    except redis.exceptions.OutOfMemoryError:
        return False


def is_empty(service: Service) -> bool:
    """Whether no message is left, in the queue or reserved."""
    return not service.client.llen(QUEUE) and not service.client.zcard("unhurried:intake")


def test_a_full_redis_is_emptied_into_the_ledger(service: Service) -> None:
    """
    Every call that it is full of is admitted, one that is refused among them, and its memory comes back.
    """
    service.client.lpush(QUEUE, *(raw(f"call-{n}", call=HEAVY) for n in range(CALLS)))
    service.client.lpush(QUEUE, raw("refused", headers={"task": "nonsense"}))

    with full(service.client), pumping(service, service.app):
        wait_until(lambda: is_empty(service), within_s=20, what="an empty Redis")
        wait_until(lambda: has_room(service.client), within_s=20, what="room in Redis")

    found = states(service)
    assert CALLS + 1 == len(found)
    assert "ready" == found["refused"]


@pytest.fixture
def cut_off(service: Service) -> Iterator[Celery]:
    """The service's app, when its Redis has just gone."""
    database_url = service.engine.url.render_as_string(hide_password=False)
    built = build(Settings(redis_url="redis://127.0.0.1:1/0", database_url=database_url))
    yield built
    closed(built)


def test_a_wake_up_that_cannot_be_sent_ends_nobody(service: Service, cut_off: Celery) -> None:
    """
    What was admitted is taken off its list, and the intake goes on with the next.
    """
    with pumping(service, cut_off) as intake:
        for name in ("first", "second"):
            service.client.lpush(QUEUE, raw(name, headers={"task": "nonsense"}))
            wait_until(lambda: is_empty(service), within_s=20, what="an empty Redis")
        assert intake.is_alive()

    assert {"first": "ready", "second": "ready"} == states(service)
