"""What a worker of direct calls publishes goes where completion would have sent it."""

import base64
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from celery import Celery, chain, chord, group, signature

from dev.processes import Process
from tests.completion.test_golden import ERROR, QUEUE, TASK, VALUE, complete_ours, settled
from tests.support.waiting import wait_until
from unhurried.contract import HOME_QUEUE_HEADER

# Celery apps that are thrown away leave their sockets to the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("collected"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HOME: Final = "home"
#: Where what follows a call without the header goes: the worker's own default queue.
DEFAULT: Final = "celery"
_WORKER: Final = (
    "-m celery -A tests.completion.pinned_worker worker "
    f"-P threads -c 2 -Q {QUEUE} -l INFO --without-mingle --without-gossip"
)
#: Queues, and the names of the callers' tasks that lie in each.
Placed = dict[str, list[str]]


def ours(end: dict[str, Any], name: str, *, home: str | None = HOME, **kwargs: Any) -> Any:
    """A call whose caller's default queue is `home`; None for a client that does not say it."""
    headers = {HOME_QUEUE_HEADER: home} if home is not None else {}
    kwargs = {"end": end, **kwargs}
    return signature(TASK, kwargs=kwargs, queue=QUEUE, task_id=name, headers=headers)


def theirs(name: str) -> Any:
    """A caller's task that names no queue."""
    return signature("caller.task", kwargs={"name": name})


def _body() -> Any:
    return theirs("body").set(link=[theirs("link")], link_error=[theirs("errback")])


SHAPES: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "links": lambda end: ours(end, "a").set(link=[theirs("b"), theirs("c").set(queue="named")]),
    "link to a canvas": lambda end: ours(end, "a").set(
        link=[group(theirs("b"), theirs("c")), chain(theirs("d"), theirs("e"))]
    ),
    "link to a chord": lambda end: ours(end, "a").set(link=[chord([theirs("b")], _body())]),
    "errbacks": lambda end: ours(end, "a").set(link_error=[theirs("b"), theirs("c")]),
    "chain": lambda end: chain(ours(end, "a"), theirs("b"), theirs("c")),
    "group in a chain": lambda end: chain(ours(end, "a"), group(theirs("b"), theirs("c")), _body()),
    "chord": lambda end: chord([ours(VALUE, "a"), ours(end, "b")], _body()),
    "chord with a body of ours": lambda end: chord(
        [ours(VALUE, "a"), ours(VALUE, "b")], ours(end, "c").set(link=[theirs("d")])
    ),
    "nested chords": lambda end: chord(
        [chord([ours(VALUE, "a"), ours(end, "b")], ours(VALUE, "c")), ours(VALUE, "d")], _body()
    ),
}


@pytest.fixture(scope="module")
def worker(redis_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Redis of a worker of direct calls, as a URL."""
    url = redis_server_url.rsplit("/", 1)[0] + "/9"
    process = Process(
        name="pinned",
        command=[sys.executable, *_WORKER.split()],
        log=tmp_path_factory.mktemp("pinned") / "worker.log",
        environment={**os.environ, "PINNED_REDIS": url},
        directory=Path(__file__).resolve().parents[2],
    ).start()
    wait_until(lambda: " ready." in process.tail(), within_s=30, what="the worker")
    yield url
    process.terminate()


@pytest.fixture
def client(worker: str) -> Iterator[redis.Redis]:
    """The worker's Redis, in which nothing is left of another test."""
    with redis.Redis.from_url(worker) as found:
        forget(found)
        yield found


def forget(client: redis.Redis) -> None:
    """Delete everything but what a worker keeps for itself."""
    for key in client.scan_iter("*"):
        if not key.startswith((b"_kombu", b"unacked")):
            client.delete(key)


def publish(url: str, *canvases: Any) -> None:
    """Publish through an app of its own, whose default queue is HOME."""
    app = Celery("caller", broker=url, backend=url)
    app.conf.task_default_queue = HOME
    app.set_current()
    for canvas in canvases:
        canvas.apply_async()
    # Results unsubscribe when they are collected: now, while Redis is there.
    gc.collect()
    app.close()


def placed(client: redis.Redis) -> Placed:
    """What lies in every queue but the worker's."""
    anything: Any = client  # redis-py's types allow for an asynchronous client
    keys = [key for key in anything.scan_iter("*") if anything.type(key) == b"list"]
    return {
        key.decode(): sorted(_name(raw) for raw in anything.lrange(key, 0, -1))
        for key in keys
        if key.decode() != QUEUE and b"celery-taskset" not in key
    }


def _name(raw: bytes) -> str:
    _, kwargs, _ = json.loads(base64.b64decode(json.loads(raw)["body"]))
    return str(kwargs.get("name"))


def worked(client: redis.Redis, *task_ids: str) -> Placed:
    """What was published once these calls are over, and every other as well."""

    def over() -> bool:
        done = all(client.exists(f"celery-task-meta-{one}") for one in task_ids)
        before = placed(client)
        return done and settled(client) and before == placed(client)

    wait_until(over, within_s=15, what="the worker")
    return placed(client)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("end", [VALUE, ERROR], ids=["value", "error"])
def test_what_follows_a_direct_call_lies_where_completion_lays_it(
    worker: str, client: redis.Redis, redis_server_url: str, name: str, end: dict[str, Any]
) -> None:
    """
    Callbacks, errbacks, chain steps and chord bodies, nested ones and those with a queue of their own.
    """
    mine = redis_server_url.rsplit("/", 1)[0] + "/10"
    publish(worker, SHAPES[name](end))
    found = worked(client, "a")
    with redis.Redis.from_url(mine) as other:
        forget(other)
        publish(mine, SHAPES[name](end))
        complete_ours(mine, other)
        expected = placed(other)

    assert expected == found
    assert DEFAULT not in found


def test_a_call_that_does_not_say_its_callers_queue_follows_the_services(
    worker: str, client: redis.Redis
) -> None:
    """
    Clients from before the header, and those whose default queue is Celery's.
    """
    publish(worker, chain(ours(VALUE, "a", home=None).set(link=[theirs("b")]), theirs("c")))

    assert {DEFAULT: ["b", "c"]} == worked(client, "a")


def test_a_call_that_is_tried_again_is_followed_once_and_at_home(
    worker: str, client: redis.Redis
) -> None:
    """
    Its message is published again with what is pinned, and with the header.
    """
    call = ours(VALUE, "a", retries=1).set(link=[theirs("b")], link_error=[theirs("c")])
    publish(worker, chain(call, theirs("d")))
    wait_until(lambda: placed(client), within_s=15, what="the second try")

    assert {HOME: ["b", "d"]} == worked(client, "a")


def test_a_message_that_comes_twice_is_followed_once(worker: str, client: redis.Redis) -> None:
    """
    Its callbacks have the same ids both times; the same call in another canvas has others.
    """
    publish(worker, *(ours(VALUE, "a").set(link=[theirs(name)]) for name in ("b", "b", "c")))
    wait_until(lambda: ["b", "c"] == placed(client).get(HOME), within_s=15, what="both callbacks")

    assert {HOME: ["b", "c"]} == worked(client, "a")


def test_an_errback_goes_home_of_a_chord_whose_part_has_expired(
    worker: str, client: redis.Redis
) -> None:
    """
    No task runs then: the worker itself counts the part.
    """
    late = ours(VALUE, "a").set(expires=datetime.now(UTC) - timedelta(seconds=1))
    publish(worker, chord([late, ours(VALUE, "b")], _body()))
    wait_until(lambda: placed(client), within_s=15, what="the errback")

    assert {HOME: ["errback"]} == worked(client, "a", "b")


@pytest.mark.parametrize(
    "canvas",
    [{"callbacks": "abc"}, {"callbacks": [7]}, {"chord": 7}, {"chain": [{"kwargs": "abc"}]}],
    ids=str,
)
def test_a_canvas_that_nobody_can_read_costs_its_call_alone(
    worker: str, client: redis.Redis, canvas: Any
) -> None:
    """
    The worker goes on: the call beside it is answered, and followed.
    """
    client.lpush(QUEUE, _unreadable(canvas))
    publish(worker, ours(VALUE, "after").set(link=[theirs("b")]))

    assert ["b"] == worked(client, "bad", "after")[HOME]


def _unreadable(canvas: Any) -> bytes:
    body = base64.b64encode(json.dumps([[], {"end": VALUE}, canvas]).encode()).decode()
    headers = {"id": "bad", "task": TASK, HOME_QUEUE_HEADER: HOME}
    properties = {
        "body_encoding": "base64",
        "correlation_id": "bad",
        "priority": 0,
        "delivery_tag": "bad",
        "delivery_info": {"exchange": "", "routing_key": QUEUE},
    }
    whole = {
        "headers": headers,
        "properties": properties,
        "body": body,
        "content-type": "application/json",
        "content-encoding": "utf-8",
    }
    return json.dumps(whole).encode()
