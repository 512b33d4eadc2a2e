"""Events on their way to Flower: bounded, lossy, and never waited for."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from celery import Celery
from celery.events import EventReceiver

from app.observe.task_events import TaskEvents
from app.policy.task_events import TaskEvent
from dev.servers import free_port
from tests.client.apps import closed
from tests.support.waiting import wait_until

Heard = list[dict[str, Any]]


@pytest.fixture
def app(redis_url: str) -> Iterator[Celery]:
    """Somebody's app on the run's Redis."""
    found = Celery("observed", broker=redis_url)
    yield found
    closed(found)


def event(number: int) -> TaskEvent:
    """One of many."""
    return TaskEvent(type="task-admitted", task_id=str(number), fields={"name": "unhurried.x"})


@contextmanager
def hearing(app: Celery) -> Iterator[Heard]:
    """What a Flower would hear, from now on."""
    heard: Heard = []
    with app.connection_for_read() as connection:
        receiver = EventReceiver(connection, handlers={"*": heard.append}, app=app)
        thread = Thread(target=_capture, args=[receiver], daemon=True)
        thread.start()
        wait_until(lambda: _listeners(app), within_s=10, what="somebody to listen to events")
        yield heard
        receiver.should_stop = True
        thread.join(10)


def _capture(receiver: Any) -> None:
    receiver.capture(limit=None, timeout=None, wakeup=False)


def _listeners(app: Celery) -> int:
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        patterns: int = channel.client.pubsub_numpat()
    return patterns


@contextmanager
def sending(app: Celery, **options: Any) -> Iterator[TaskEvents]:
    """A sender, as it runs in a process."""
    wanted: dict[str, Any] = {"hostname": "intake@here", "per_s": 1000, "waiting_max": 1000}
    sender = TaskEvents(app=app, **{**wanted, **options}).start()
    yield sender
    sender.stop()


def tasks(heard: Heard) -> list[str]:
    """The tasks that were heard of."""
    return [one["uuid"] for one in heard if one["type"] == "task-admitted"]


def heard_all(heard: Heard, count: int) -> Callable[[], bool]:
    """Whether so many have arrived."""
    return lambda: len(tasks(heard)) >= count


def test_events_arrive_as_a_workers(app: Celery) -> None:
    """
    Each with its task, from the worker that was named.
    """
    with hearing(app) as heard, sending(app) as sender:
        sender.send(map(event, range(250)))
        wait_until(heard_all(heard, 250), within_s=10, what="every event")

    assert sorted(map(str, range(250))) == sorted(tasks(heard))
    assert {"intake@here"} == {one["hostname"] for one in heard}


def test_a_worker_without_another_voice_has_heartbeats(app: Celery) -> None:
    """
    It comes online, and goes offline when it stops.
    """
    with hearing(app) as heard:
        with sending(app, beats=True):
            wait_until(lambda: heard, within_s=10, what="a first word")
        wait_until(
            lambda: "worker-offline" in {one["type"] for one in heard},
            within_s=10,
            what="a last word",
        )

    assert "worker-online" == heard[0]["type"]


def test_a_flood_is_a_sample(app: Celery) -> None:
    """
    Of fifty thousand at once as many arrive as may wait, and as are sent meanwhile.
    """
    with hearing(app) as heard, sending(app, per_s=200, waiting_max=300) as sender:
        began = time.monotonic()
        sender.send(map(event, range(50_000)))
        sent_s = time.monotonic() - began
        wait_until(heard_all(heard, 300), within_s=30, what="the sample")

    assert 300 <= len(tasks(heard)) <= 300 + 200 * (sent_s + 1)


def test_a_redis_that_is_away_holds_nobody_up() -> None:
    """
    Whoever sends goes on, and so does whoever stops.
    """
    app = Celery("observed", broker=f"redis://127.0.0.1:{free_port()}/0")
    began = time.monotonic()
    with sending(app, waiting_max=10) as sender:
        sender.send(map(event, range(100)))
        sent_s = time.monotonic() - began

    assert sent_s < 1
    assert time.monotonic() - began < 5
