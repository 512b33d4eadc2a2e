"""UNHURRIED_BROKER_URL: calls through a connection of their own, whatever the caller's app uses."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery, chord, current_app

from tests.client.apps import calling, closed
from tests.client.wire import finish, sent
from unhurried import MixedBrokers, email, messages
from unhurried.binding import bound_app

SAY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [], "tier": "batch"}


@pytest.fixture
def theirs(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """A caller on RabbitMQ, with pickle and no results: nothing of it suits us."""
    monkeypatch.setenv("UNHURRIED_BROKER_URL", redis_url)
    settings = {"result_backend": None, "task_serializer": "pickle", "task_always_eager": True}
    with calling("amqp://nowhere.invalid", **settings) as app:
        yield app
        closed(bound_app())


def test_calls_go_through_the_named_broker(theirs: Celery, redis_client: redis.Redis) -> None:
    """Publishing, waiting and a canvas of ours work, and the caller's app is left as it was."""
    job = messages.delay(**SAY)
    chord([messages.s(**SAY), messages.s(**SAY)])(email.s(to="a@example.org"))
    found = sent(redis_client, "unhurried.batch")
    assert len(found) == 3
    for message in found:
        finish(bound_app(), message, {"schema": 1, "output": "done"})
    assert messages.result(job.id).output == "done"
    assert len(sent(redis_client, "unhurried.notify")) == 1
    assert current_app == theirs
    assert messages.name not in theirs.tasks


def test_a_link_to_the_callers_broker_is_refused(theirs: Celery, redis_client: redis.Redis) -> None:
    """Celery could never run it, so the call says so; a link to one of ours is fine."""
    for name in ("link", "link_error"):
        with pytest.raises(MixedBrokers, match=r"caller\.done"):
            messages.apply_async(kwargs=SAY, **{name: theirs.signature("caller.done")})
    assert redis_client.keys() == []
    messages.apply_async(kwargs=SAY, link=email.s(to="a@example.org"))
    assert len(sent(redis_client, "unhurried.batch")) == 1


def test_the_prefix_of_the_service_can_be_named(
    redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UNHURRIED_KEY_PREFIX stands before queue, marker and result."""
    monkeypatch.setenv("UNHURRIED_BROKER_URL", redis_url)
    monkeypatch.setenv("UNHURRIED_KEY_PREFIX", "llm:")
    job = messages.delay(**SAY)
    assert job.state == "published"
    (message,) = sent(redis_client, "llm:unhurried.batch")
    finish(bound_app(), message, {"schema": 1, "output": "done"})
    assert job.result().output == "done"
    closed(bound_app())
