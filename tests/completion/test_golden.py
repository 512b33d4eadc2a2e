"""The golden test: completion writes to Redis exactly what a real worker writes."""

import base64
import gc
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery, chain, chord, group, signature

from app.completion.celery_end import CeleryEnd
from app.intake import messages
from app.ledger.tickets import ReadyTicket
from dev.processes import Process
from tests.support.factories import NOW, RULES
from tests.support.waiting import wait_until
from unhurried.errors import failure

# Celery apps that are thrown away leave their sockets to the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("collected"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TASK = "unhurried.messages.v1"
QUEUE = "ours"
VALUE = {"schema": 1, "job_id": "j", "output": "Fine."}
ERROR = {"error": {"code": "invalid_request", "message": "no", "retryable": False}}

_WORKER = (
    "-m celery -A tests.completion.golden_worker worker "
    f"-P solo -Q {QUEUE} -l INFO --without-mingle --without-gossip"
)

#: What differs between two runs of anything: moments, addresses, delivery tags.
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
VOLATILE = {"date_done", "reply_to", "delivery_tag", "origin", "traceback", "correlation_id"}


def ours(end: dict[str, Any], name: str) -> Any:
    """A signature of our task with an id of the test's choosing."""
    return signature(TASK, kwargs={"end": end}, queue=QUEUE, task_id=name)


def theirs(name: str) -> Any:
    """A signature of a caller's task."""
    return signature("caller.task", kwargs={"name": name}, task_id=name, queue="celery")


SHAPES: dict[str, Any] = {
    "plain": lambda end: ours(end, "a"),
    "link": lambda end: ours(end, "a").set(link=[theirs("b")]),
    "links": lambda end: ours(end, "a").set(link=[theirs("b"), theirs("c")]),
    "link to a group": lambda end: ours(end, "a").set(link=[group(theirs("b"), theirs("c"))]),
    "link_error": lambda end: ours(end, "a").set(link_error=[theirs("b")]),
    "chain": lambda end: chain(ours(end, "a"), theirs("b"), theirs("c")),
    "chord": lambda end: chord([ours(end, "a"), ours(end, "b")], theirs("body")),
    "chord whose part fails": lambda end: chord(
        [ours(VALUE, "a"), ours(end, "b")], theirs("body").set(link_error=[theirs("errback")])
    ),
    "chain in a chord": lambda end: chord([chain(ours(end, "a"), theirs("b"))], theirs("body")),
    "chain of a group and a chord": lambda end: chain(
        group(ours(VALUE, "a"), ours(end, "b")),
        chord([theirs("c")], theirs("body").set(link_error=[theirs("errback")])),
    ),
    "ignored result": lambda end: ours(end, "a").set(ignore_result=True),
    "a priority of a link's own": lambda end: ours(end, "a").set(
        link=[theirs("b").set(priority=6)]
    ),
    "a priority of a step's own": lambda end: chain(
        ours(end, "a"), theirs("b").set(priority=3), theirs("c")
    ),
    "a priority of ours": lambda end: ours(end, "a").set(priority=9, link=[theirs("b")]),
    "link to a chord": lambda end: ours(end, "a").set(
        link=[chord([theirs("b"), theirs("c")], theirs("body"))]
    ),
    "chord in a chord": lambda end: chord(
        [chord([ours(end, "a"), ours(end, "b")], theirs("c")), ours(end, "d")], theirs("body")
    ),
}


@pytest.fixture(scope="module")
def golden(redis_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Redis of a real worker that runs our tasks, as a URL."""
    url = redis_server_url.rsplit("/", 1)[0] + "/7"
    log = tmp_path_factory.mktemp("golden") / "worker.log"
    process = Process(
        name="golden",
        command=[sys.executable, *_WORKER.split()],
        log=log,
        environment={**os.environ, "GOLDEN_REDIS": url},
        directory=Path(__file__).resolve().parents[2],
    ).start()
    wait_until(lambda: " ready." in process.tail(), within_s=30, what="the golden worker")
    yield url
    process.terminate()


def publish(url: str, shape: Any, end: dict[str, Any]) -> None:
    """Publish a shape through an app of its own."""
    app = Celery("caller", broker=url, backend=url)
    app.set_current()
    shape(end).apply_async()
    # Results unsubscribe when they are collected: now, while Redis is there.
    gc.collect()
    app.close()


def complete_ours(url: str, client: redis.Redis) -> None:
    """Read every message of ours and complete it as the service does."""
    service = Celery("service", broker=url, backend=url, set_as_current=False)
    service.task(name=TASK, shared=False, typing=False)(_runs_nowhere)
    ended = CeleryEnd(service)
    number = 0
    while raw := next(filter(None, map(client.rpop, _lists(client))), None):
        assert isinstance(raw, bytes)
        number += 1
        message = messages.read(raw, now=NOW, rules=RULES).message
        end = json.loads(message.body)[1]["end"]
        ticket = ReadyTicket(
            id=number,
            generation=1,
            attempts=1,
            on_failure="raise",
            end=None,
            job=None,
            **{
                name: getattr(message, name)
                for name in (
                    "task_id task_name context_digest headers properties body content_type "
                    "content_encoding".split()
                )
            },
        )
        if "error" in end:
            ended.fail(ticket, failure(end["error"]))
        else:
            ended.succeed(ticket, end)
    service.close()


def _lists(client: redis.Redis) -> list[bytes]:
    """The queue of ours, with those of its priorities."""
    anything: Any = client  # redis-py's types allow for an asynchronous client
    return sorted(anything.scan_iter(f"{QUEUE}*"))


def _runs_nowhere() -> None:
    """The service has the task registered; the worker is not here."""


def dump(client: redis.Redis) -> dict[str, Any]:
    """Everything that matters in a Redis: results, queued messages, chord keys."""
    found: dict[str, Any] = {}
    anything: Any = client  # redis-py's types allow for an asynchronous client
    for key in sorted(anything.scan_iter("*")):
        name = key.decode()
        if name.startswith("celery-task-meta-"):
            # A chord that is another's body fails under an id that Celery makes up there and then.
            found[UUID_TEXT.sub("<uuid>", name)] = _calm(json.loads(anything.get(name)))
        elif name == "celery" or name.startswith("celery\x06"):
            queued = [_message(one) for one in anything.lrange(name, 0, -1)]
            found[name] = sorted(queued, key=json.dumps)
        elif name.startswith("celery-taskset-meta-"):
            found[f"chord{name[-2:]}"] = anything.type(name)
    return found


def _message(raw: bytes) -> Any:
    message = json.loads(raw)
    body = json.loads(base64.b64decode(message["body"]))
    headers = {
        name: value
        for name, value in message["headers"].items()
        if name in {"task", "id", "root_id", "parent_id", "ignore_result"}
    }
    return _calm({"headers": headers, "body": body})


def _calm(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _calm(inner) for name, inner in value.items() if name not in VOLATILE}
    if isinstance(value, list):
        return [_calm(inner) for inner in value]
    return "<uuid>" if isinstance(value, str) and UUID_TEXT.fullmatch(value) else value


def settled(client: redis.Redis) -> bool:
    """Whether the golden worker has done everything it was sent."""
    return not _lists(client) and not client.hlen("unacked")


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("end", [VALUE, ERROR], ids=["value", "error"])
def test_completion_writes_what_a_worker_writes(
    golden: str, redis_server_url: str, name: str, end: dict[str, Any]
) -> None:
    """
    Results, callbacks, the next chain step, chord keys and errbacks are the same, key by key.
    """
    shape = SHAPES[name]
    mine = redis_server_url.rsplit("/", 1)[0] + "/8"
    with redis.Redis.from_url(golden) as expected, redis.Redis.from_url(mine) as actual:
        for client in (expected, actual):
            for key in client.scan_iter("c*"):
                client.delete(key)
        publish(golden, shape, end)
        wait_until(lambda: _worker_done(expected), within_s=15, what="the golden worker")
        publish(mine, shape, end)
        complete_ours(mine, actual)

        assert dump(expected) == dump(actual)


def _worker_done(client: redis.Redis) -> bool:
    before = json.dumps(dump(client), default=str)
    return settled(client) and before == json.dumps(dump(client), default=str)
