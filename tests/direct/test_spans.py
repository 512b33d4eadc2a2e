"""A direct call is a span: told once it has ended, whatever came of it, and never with what was said."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from app.direct.answer import Call, DirectAnswer
from app.policy.ends import Failure, Value
from app.policy.tracing import Span
from tests.direct.making import an_openai, sync_tier
from tests.simulator.conftest import Simulator
from unhurried.contract import Endpoint

PARENT = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
SECRET = "The word is marmalade."


@pytest.fixture
def told() -> list[Span]:
    """What was told."""
    return []


@pytest.fixture
def at_once(
    engine: Engine, redis_client: redis.Redis, simulator: Simulator, told: list[Span]
) -> Iterator[DirectAnswer]:
    """The sync tier, with a key at OpenAI alone."""

    def tell(spans: Sequence[Span]) -> None:
        told.extend(spans)

    with an_openai(simulator) as provider:
        yield sync_tier(provider, engine, redis_client, told=tell)


def a_call(text: str = SECRET, *, endpoint: Endpoint = Endpoint.RESPONSES, **options: Any) -> Call:
    request: dict[str, Any] = {"model": "gpt-5-mini", "input": text}
    if endpoint is Endpoint.MESSAGES:
        turns = [{"role": "user", "content": text}]
        request = {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": turns}
    return Call(
        endpoint=endpoint,
        task_id=f"task-{text[:20]}",
        args=(),
        kwargs={"request": request, "options": {"tier": "sync", **options}},
        trace=PARENT,
    )


def test_an_answer_is_told_with_its_tokens(at_once: DirectAnswer, told: list[Span]) -> None:
    """
    In its caller's trace, by OpenTelemetry's names, without a word of what was said.
    """
    end = at_once.answer(a_call())
    assert isinstance(end, Value)
    (span,) = told

    assert ("chat gpt-5-mini", PARENT, None) == (span.name, span.trace, span.error)
    assert span.began_at <= span.ended_at
    about = dict(span.attributes)
    assert about.pop("gen_ai.usage.input_tokens")
    assert about.pop("gen_ai.usage.output_tokens")
    assert about.pop("unhurried.job_id")
    assert {
        "gen_ai.provider.name": "openai",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-5-mini",
        "unhurried.tier": "sync",
        "unhurried.outcome": "answered",
        "unhurried.task_id": f"task-{SECRET[:20]}",
    } == about
    assert "marmalade" not in repr(span)


def test_a_call_that_fails_says_so_by_its_code(at_once: DirectAnswer, told: list[Span]) -> None:
    """
    Whether the provider refused it, or nobody could be asked.
    """
    ends = [
        at_once.answer(a_call("[[sim:invalid]]")),
        at_once.answer(a_call(endpoint=Endpoint.MESSAGES)),
    ]
    refused, unasked = told

    assert [Failure, Failure] == [type(one) for one in ends]
    assert refused.error == refused.attributes.get("error.type", refused.error)
    assert refused.error not in (None, "no_key")
    assert ("no_key", "no_key") == (unasked.error, unasked.attributes["unhurried.outcome"])


def test_what_was_never_asked_has_no_span(at_once: DirectAnswer, told: list[Span]) -> None:
    """
    A bad request, and an answer that was there already: the first delivery has told of it.
    """
    assert isinstance(at_once.answer(a_call("x" * 20_000)), Failure)
    assert [] == told
    first, second = (at_once.answer(a_call(idempotency_key="once")) for _ in range(2))

    assert isinstance(first, Value)
    assert isinstance(second, Value)
    assert 1 == len(told)
