"""What a call leaves in Redis, whichever way it is published."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from celery import Celery, chain, chord, group, signature

from tests.client.apps import calling
from tests.client.wire import Sent, finish, sent
from unhurried import email, messages, responses
from unhurried.contract import Marker, Tier, marker_key

PROMPT = "nobody but the provider may read this"
REQUEST: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 300,
    "messages": [{"role": "user", "content": PROMPT}],
}


def built(**options: Any) -> Any:
    return messages.s(**REQUEST, **{"tier": "batch", **options})


WAYS: dict[str, Callable[[Celery], Any]] = {
    "delay": lambda _: messages.delay(**REQUEST, tier="batch"),
    "apply_async": lambda _: messages.apply_async(kwargs={**REQUEST, "tier": "batch"}, priority=0),
    "signature": lambda _: built().delay(),
    "immutable": lambda _: messages.si(**REQUEST, tier="batch").apply_async(),
    "set": lambda _: built().set(countdown=1, headers={"trace": "1"}).apply_async(),
    "clone": lambda _: built().clone().apply_async(),
    "group": lambda _: group([built()]).apply_async(),
    "group with a queue": lambda _: group([built()]).apply_async(queue="reports"),
    "chain": lambda app: chain(built(), app.signature("caller.next")).apply_async(),
    "chord": lambda app: chord([built(), app.signature("caller.other")])(app.signature("body")),
    "json": lambda app: signature(json.loads(json.dumps(built())), app=app).apply_async(),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_publishing_leaves_the_same_message(
    way: str, caller: Celery, redis_client: redis.Redis
) -> None:
    """Task, queue, arguments, headers and marker do not depend on how a call is written."""
    WAYS[way](caller)
    (message,) = sent(redis_client, "unhurried.batch")
    assert message.headers["task"] == "unhurried.messages.v1"
    assert message.headers["unhurried_contract"] == 1
    assert message.headers["ignore_result"] is False
    assert message.headers["kwargsrepr"] == "{}"
    assert message.kwargs["request"] == REQUEST
    assert message.kwargs["options"].keys() == {"tier", "published_at", "as_of"}
    assert set(message.headers["unhurried_origin"]) == {"kind", "site"}
    assert message.headers["unhurried_origin"]["site"].startswith("tests.client.test_messages:")
    assert_private(message)
    assert marker_of(redis_client, message).tier is Tier.BATCH


def assert_private(message: Sent) -> None:
    size = len(json.dumps(REQUEST))
    assert message.headers["argsrepr"] == f"<messages batch claude-haiku-4-5 {size} bytes>"
    assert PROMPT not in message.outside_the_body


def marker_of(client: redis.Redis, message: Sent) -> Marker:
    found: Any = client.get(marker_key(message.id))
    assert int(client.ttl(marker_key(message.id))) > timedelta(days=7).total_seconds()
    return Marker.model_validate_json(found)


@pytest.mark.usefixtures("caller")
def test_a_process_without_the_stub_publishes_the_next_step_intact(
    redis_url: str, redis_client: redis.Redis
) -> None:
    """Celery's fallback by name keeps the queue, the summary and the header of a signature."""
    step = json.loads(json.dumps(built()))
    with calling(redis_url) as plain:
        for way in (step, json.loads(json.dumps(signature(step, app=plain).clone()))):
            signature(way, app=plain).apply_async((("what came before"),))
        group([signature(step, app=plain)], app=plain).apply_async(("what came before",))
        assert "unhurried.messages.v1" not in plain.tasks
    found = sent(redis_client, "unhurried.batch")
    assert len(found) == 3
    for message in found:
        assert message.headers["unhurried_contract"] == 1
        assert message.headers["kwargsrepr"] == "{}"
        assert message.headers["ignore_result"] is False
        assert message.kwargs["request"] == REQUEST
        assert_private(message)


def test_a_chords_last_part_publishes_our_body(
    caller: Celery, redis_url: str, redis_client: redis.Redis
) -> None:
    """A body of ours that has travelled as JSON receives the list, in whatever process ends it."""
    chord([caller.signature("part", queue="parts"), caller.signature("part", queue="parts")])(
        built(workload="digest")
    )
    with calling(redis_url) as plain:
        for part in sent(redis_client, "parts"):
            finish(plain, part, "a text")
    (message,) = sent(redis_client, "unhurried.batch")
    assert message.args == [["a text", "a text"]]
    assert message.kwargs["options"] == {"tier": "batch", "workload": "digest"}
    assert_private(message)


@pytest.mark.usefixtures("caller")
def test_mutable_and_immutable_steps_differ_in_what_they_receive(redis_client: redis.Redis) -> None:
    """`.s()` takes the previous step's value as its argument, `.si()` takes nothing."""
    built().apply_async(("before",))
    messages.si(**REQUEST, tier="batch").apply_async(("before",))
    assert [message.args for message in sent(redis_client, "unhurried.batch")] == [["before"], []]


@pytest.mark.usefixtures("caller")
def test_our_options_travel_beside_the_request(redis_client: redis.Redis) -> None:
    """Spans become seconds, moments ISO text, notices plain dicts; what is not said is not sent."""
    as_of = datetime(2026, 11, 1, tzinfo=UTC)
    responses.delay(
        model="gpt-5",
        input="hi",
        tier="near-real-time",
        workload="notes",
        subject="user:17",
        as_of=as_of,
        deadline="8h",
        effective_for=timedelta(days=2),
        idempotency_key=17,
        on_failure="return",
        notify=email.to("a@example.org", link="https://example.org/17"),
        account="main",
        tenant="acme",
    )
    (message,) = sent(redis_client, "unhurried.near-real-time")
    options = message.kwargs["options"]
    assert message.kwargs["request"] == {"model": "gpt-5", "input": "hi"}
    assert datetime.fromisoformat(options.pop("as_of")) == as_of
    assert datetime.now(UTC) - datetime.fromisoformat(options.pop("published_at")) < timedelta(1)
    assert options == {
        "tier": "near-real-time",
        "workload": "notes",
        "subject": "user:17",
        "deadline_s": 28800.0,
        "effective_for_s": 172800.0,
        "idempotency_key": "17",
        "on_failure": "return",
        "notify": [{"to": "a@example.org", "link": "https://example.org/17"}],
        "account": "main",
        "tenant": "acme",
    }


def test_celerys_own_options_reach_the_message(caller: Celery, redis_client: redis.Redis) -> None:
    """An id, an expiry, an eta, a link and an errback of the caller's are Celery's, untouched."""
    job = messages.apply_async(
        kwargs={**REQUEST, "tier": "batch"},
        task_id="mine",
        countdown=60,
        expires=600,
        link=caller.signature("caller.done"),
        link_error=caller.signature("caller.failed"),
    )
    (message,) = sent(redis_client, "unhurried.batch")
    assert job.id == job.task_id == message.id == "mine"
    assert message.headers["eta"]
    assert message.headers["expires"]
    assert message.embed["callbacks"][0]["task"] == "caller.done"
    assert message.embed["errbacks"][0]["task"] == "caller.failed"


@pytest.mark.usefixtures("caller")
def test_the_marker_is_there_before_the_message(redis_client: redis.Redis) -> None:
    """Redis sees the marker's SET before the queue's push, so a read never says unknown wrongly."""
    with redis_client.monitor() as monitor:  # type: ignore[no-untyped-call]
        job = messages.delay(**REQUEST, tier="batch")
        commands = monitor.listen()
        seen: list[str] = []
        while not seen or "LPUSH unhurried.batch" not in seen[-1]:
            seen.append(str(next(commands)["command"]))
    assert any(one.startswith(f"SET {marker_key(job.id)}") for one in seen[:-1])


SETTINGS: dict[str, dict[str, Any]] = {
    "no missing queues": {"task_create_missing_queues": False},
    "routes for everything": {
        "task_routes": {"*": {"exchange": "theirs", "routing_key": "theirs", "queue": "theirs"}}
    },
    "results ignored": {"task_ignore_result": True},
    "pickle": {
        "task_serializer": "pickle",
        "accept_content": ["pickle", "json"],
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_callers_settings_do_not_bend_our_messages(
    name: str, redis_url: str, redis_client: redis.Redis
) -> None:
    """Routes, undeclared queues, ignored results and pickle are for the caller's own tasks."""
    with calling(redis_url, **SETTINGS[name]):
        messages.delay(**REQUEST, tier="batch")
    (message,) = sent(redis_client, "unhurried.batch")
    assert message.headers["ignore_result"] is False
    assert message.properties["delivery_info"]["routing_key"] == "unhurried.batch"


def test_a_prefix_stands_before_queue_and_marker(redis_url: str, redis_client: redis.Redis) -> None:
    """The caller's global_keyprefix is kept letter for letter, as the service is told it."""
    prefix = {"global_keyprefix": "llm"}
    settings = {"broker_transport_options": prefix, "result_backend_transport_options": prefix}
    with calling(redis_url, **settings):
        job = messages.delay(**REQUEST, tier="batch")
        assert job.state == "published"
    (message,) = sent(redis_client, "llmunhurried.batch")
    assert redis_client.exists("llm" + marker_key(message.id))


def test_the_home_queue_is_named_where_it_is_not_celerys_own(
    redis_url: str, redis_client: redis.Redis
) -> None:
    """Callbacks without a queue go where the caller's worker listens."""
    with calling(redis_url, task_default_queue="reports"):
        messages.delay(**REQUEST, tier="batch")
    (message,) = sent(redis_client, "unhurried.batch")
    assert message.headers["unhurried_home_queue"] == "reports"


def test_hundreds_of_parts_are_hundreds_of_messages_with_markers(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """A chord of 300 publishes 300 messages, each with an id and a marker of its own."""
    chord([built(idempotency_key=f"part-{number}") for number in range(300)])(
        caller.signature("body")
    )
    found = sent(redis_client, "unhurried.batch")
    assert len({message.id for message in found}) == 300
    assert redis_client.exists(*(marker_key(message.id) for message in found)) == 300
    assert redis_client.get(f"celery-taskset-meta-{found[0].headers['group']}.s") == b"300"


def test_a_call_inside_a_task_names_that_task(caller: Celery, redis_client: redis.Redis) -> None:
    """The origin of a call from a task is the task's name, id and root, whoever runs the worker."""

    @caller.task(name="caller.nightly", bind=True, shared=False)
    def nightly(task: Any) -> None:
        task.push_request(id="task-1", root_id="root-1")
        messages.delay(**REQUEST, tier="batch")
        task.pop_request()

    nightly()
    (message,) = sent(redis_client, "unhurried.batch")
    origin = message.headers["unhurried_origin"]
    assert (origin["kind"], origin["task"]) == ("task", "caller.nightly")
    assert (origin["task_id"], origin["root_id"]) == ("task-1", "root-1")
    assert "/" not in origin["site"]


def test_the_services_own_task_wins_over_the_stub(redis_url: str) -> None:
    """Where a process has the real task, the handle publishes with it and registers nothing."""
    with calling(redis_url) as app:

        @app.task(name="unhurried.messages.v1", shared=False)
        def real() -> None:
            """Stand in for the service's task."""

        built()
        assert app.tasks["unhurried.messages.v1"] is app.tasks[real.name]
        assert "RemoteTask" not in type(app.tasks["unhurried.messages.v1"]).__mro__[1].__name__
