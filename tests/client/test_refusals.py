"""What is refused at the call, before anything lies in Redis."""

import inspect
import math
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import redis
from anthropic.resources.beta.messages import Messages as BetaMessages
from anthropic.resources.messages import Messages
from anthropic.types import TextBlock
from celery import Celery
from openai.resources.chat.completions import Completions
from openai.resources.embeddings import Embeddings
from openai.resources.responses import Responses
from pydantic import BaseModel

from tests.client.wire import sent
from unhurried import CallError, MissingTier, UnhurriedError, email, messages, responses
from unhurried.options import NAMES

SAY: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": []}


@pytest.mark.usefixtures("caller")
def test_a_call_without_a_tier_asks_whether_a_user_is_waiting() -> None:
    """MissingTier is a TypeError that names the three tiers."""
    for way in (messages.delay, messages.s, messages.si, messages.call):
        with pytest.raises(MissingTier, match="is a user waiting") as refused:
            way(**SAY)
        assert isinstance(refused.value, TypeError)
        for tier in ("sync", "near-real-time", "batch"):
            assert f"'{tier}'" in str(refused.value)


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


class Row(BaseModel):
    """Not of an SDK."""

    price: float


REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "nan": ({"temperature": math.nan}, "request.temperature is nan"),
    "infinity": ({"metadata": {"x": [-math.inf]}}, r"request.metadata.x\[0\] is -inf"),
    "surrogate": ({"system": "half \ud83d"}, "request.system holds a lone surrogate"),
    "surrogate in a key": ({"metadata": {"\udc00": 1}}, "request.metadata holds a lone surrogate"),
    "number as key": ({"metadata": {1: "x"}}, "request.metadata has a key that is not text: 1"),
    "too deep": ({"metadata": nested(70)}, "nested deeper than 64"),
    "bytes": ({"system": b"x"}, "request.system is a bytes"),
    "a moment": ({"system": datetime(2026, 1, 1)}, "request.system is a datetime"),  # noqa: DTZ001 - any
    "a decimal": ({"metadata": {"x": Decimal(1)}}, "request.metadata.x is a Decimal"),
    "a set": ({"metadata": {1}}, "request.metadata is a set"),
    "an id": ({"metadata": [UUID(int=1)]}, r"request.metadata\[0\] is a UUID"),
    "a tuple as key": ({"metadata": {(1,): 1}}, "a key that is not text"),
    "depth": ({"metadata": nested(100_000)}, "nested deeper than 64"),
    "a class": ({"output_format": Row}, "request.output_format is a "),
    "nan in a model": ({"metadata": Row(price=math.nan)}, "request.metadata.price is nan"),
    "a long number": ({"metadata": 10**5000}, "cannot be written as JSON"),
    "stream": ({"stream": True}, "stream is not possible here"),
    "timeout": ({"timeout": 3}, "timeout belongs to a call that waits"),
    "extra_headers": ({"extra_headers": {}}, "extra_headers belongs"),
    "extra_query": ({"extra_query": {}}, "extra_query belongs"),
    "extra_body": ({"extra_body": {}}, "extra_body belongs"),
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.usefixtures("caller")
def test_what_json_cannot_carry_is_refused_by_place(name: str, redis_client: redis.Redis) -> None:
    """The call itself raises CallError that names the place, and nothing is published."""
    more, says = REQUESTS[name]
    with pytest.raises(CallError, match=says):
        messages.delay(**{**SAY, **more}, tier="batch")
    assert redis_client.keys() == []


OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "tier": ({"tier": "later"}, "'later' is none of: sync, near-real-time, batch"),
    "on_failure": ({"on_failure": "ignore"}, "on_failure: .*'raise', 'return', 'retry' or 'drop'"),
    "as_of": ({"as_of": datetime(2026, 1, 1)}, "as_of needs a time zone"),  # noqa: DTZ001 - the point
    "deadline in words": ({"deadline": "soon"}, "'soon' is no span: write it as 90s"),
    "deadline of nothing": ({"deadline": 0}, "deadline_s: .*greater than 0"),
    "deadline without end": ({"deadline": math.inf}, "finite and not negative"),
    "deadline of a month and more": ({"deadline": "31d"}, "deadline_s: "),
    "effective_for": ({"effective_for": -1}, "finite and not negative"),
    "workload": ({"workload": "two words"}, "workload: "),
    "a subject that is a number": ({"subject": 17}, "subject: "),
    "a surrogate in a key": ({"idempotency_key": "\ud83d"}, "idempotency_key: "),
    "NUL in a key": ({"idempotency_key": "a\0"}, "idempotency_key: .*NUL"),
    "NUL in a subject": ({"subject": "a\0"}, "subject: .*NUL"),
    "a moment beyond the calendar": (
        {"as_of": datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))},
        "as_of: .*years 1 to 9999",
    ),
    "an empty key": ({"idempotency_key": ""}, "idempotency_key: "),
    "notify": ({"notify": "a@example.org"}, "notify"),
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.usefixtures("caller")
def test_an_option_that_means_nothing_is_refused_by_name(name: str) -> None:
    """A bad value of ours is a ValueError that says what would be right."""
    more, says = OPTIONS[name]
    with pytest.raises(ValueError, match=says):
        messages.s(**SAY, **{"tier": "batch", **more})


def test_what_celery_may_not_choose_is_refused(caller: Celery) -> None:
    """Queue and serializer follow from the tier; arguments come where the signature is built."""
    for name in ("queue", "exchange", "routing_key", "serializer", "compression"):
        with pytest.raises(CallError, match=name):
            messages.apply_async(kwargs={**SAY, "tier": "batch"}, **{name: "mine"})
    with pytest.raises(CallError, match="max_tokens came too late"):
        messages.s(**SAY, tier="batch").delay(max_tokens=1)
    with pytest.raises(MissingTier, match="by hand"):
        caller.signature(messages.name, kwargs={"request": SAY}).delay()


def test_a_handle_does_not_run_here(caller: Celery) -> None:
    """Calling a handle, or its stub in a worker, says how to publish instead."""
    messages.s(**SAY, tier="batch")
    for run in (messages, responses, caller.tasks[messages.name]):
        with pytest.raises(CallError, match="runs in the service"):
            run()


@pytest.mark.usefixtures("caller")
def test_on_commit_needs_django() -> None:
    """Where no Django is set up there is no commit to wait for, and the call says so."""
    with pytest.raises(CallError, match="needs Django"):
        messages.delay_on_commit(**SAY, tier="batch")


@pytest.mark.usefixtures("caller")
def test_an_sdks_own_objects_are_sent_as_the_sdk_would(redis_client: redis.Redis) -> None:
    """Blocks of an earlier answer go back into `messages` as they are; tuples become lists."""
    block = TextBlock(type="text", text="hello", citations=None)
    turns = ({"role": "assistant", "content": [block]},)
    messages.delay(**{**SAY, "messages": turns, "stream": False}, tier="batch")
    (message,) = sent(redis_client, "unhurried.batch")
    content = [{"type": "text", "text": "hello", "citations": None}]
    assert message.kwargs["request"] == {
        **SAY,
        "messages": [{"role": "assistant", "content": content}],
    }


def test_no_option_of_ours_is_a_parameter_of_an_sdk() -> None:
    """The two share one set of keyword arguments, today and after an SDK's update."""
    for create in (
        Messages.create,
        BetaMessages.create,
        Responses.create,
        Completions.create,
        Embeddings.create,
    ):
        parameters = inspect.signature(create).parameters
        assert len(parameters) > 4
        assert not NAMES & parameters.keys()


@pytest.mark.parametrize("to", ["", "a", "a@b@c", "a@b.c, d@e.f@", "a@b.c\nBcc: d", "a b@c.d"])
def test_a_mail_goes_to_one_bare_address(to: str) -> None:
    """What could be read as two addresses or as a header is refused where it is written."""
    with pytest.raises(ValueError, match="not one bare address"):
        email.to(to)


def test_every_refusal_is_of_our_root() -> None:
    """One `except UnhurriedError` around a call catches what the package raises by itself."""
    assert issubclass(MissingTier, UnhurriedError)
    assert issubclass(CallError, UnhurriedError)
