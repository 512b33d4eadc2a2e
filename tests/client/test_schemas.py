"""`schema=`: what is asked of each provider, what is checked, and how an answer is read."""

import json
from typing import Any, Literal

import pytest
import redis
from celery import Celery
from pydantic import BaseModel, Field, RootModel, ValidationError, field_validator

from simulator.fates import Fates, Said
from tests.client.wire import finish, sent
from unhurried import CallError, Result, chat, embeddings, messages, responses

TURNS = [{"role": "user", "content": "Which river is the longest? The Nile is."}]
CALLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "messages": (messages, {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": TURNS}),
    "responses": (responses, {"model": "gpt-5-mini", "input": TURNS}),
    "chat": (chat, {"model": "gpt-4o-mini", "messages": TURNS}),
}


class Tag(BaseModel):
    """A part that is referred to."""

    name: str = Field(min_length=1, description="One word")
    kind: Literal["river", "lake"] = "river"


class River(BaseModel):
    """An answer."""

    name: str
    length_km: int = Field(ge=1)
    tags: list[Tag]
    note: str | None = None

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        if name == "?":
            raise ValueError("a river has a name")
        return name


ANSWER = {"name": "Nile", "length_km": 6650, "tags": [{"name": "long", "kind": "river"}]}


def wire(output: str) -> dict[str, Any]:
    return {"schema": 1, "job_id": "j", "outcome": "answered", "output": output}


def asked(handle: Any, request: dict[str, Any], **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = handle.s(**request, tier="batch", **more).kwargs
    return found


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.usefixtures("caller")
def test_a_model_class_becomes_the_providers_own_parameter(name: str) -> None:
    """
    A strict provider takes the request, and answers in that form.
    """
    handle, request = CALLS[name]
    call = asked(handle, request, schema=River)
    provider = "anthropic" if name == "messages" else "openai"
    fate = Fates().of(provider, call["request"], batch=True)

    assert isinstance(fate, Said), fate
    assert isinstance(Result.parse(wire(fate.text), schema=River).parsed, River)
    assert call["options"]["answer_schema"] == River.model_json_schema()


@pytest.mark.usefixtures("caller")
def test_rules_that_a_provider_does_not_know_are_said_in_words() -> None:
    """
    OpenAI obeys bounds of numbers, Anthropic reads them; lengths of texts both read.
    """
    formats = [
        asked(messages, CALLS["messages"][1], schema=River)["request"]["output_config"]["format"],
        asked(responses, CALLS["responses"][1], schema=River)["request"]["text"]["format"],
    ]
    lengths = [one["schema"]["properties"]["length_km"] for one in formats]
    words = [one["schema"]["$defs"]["Tag"]["properties"]["name"] for one in formats]

    assert [
        {"type": "integer", "description": "(minimum: 1)"},
        {"type": "integer", "minimum": 1},
    ] == lengths
    assert [{"type": "string", "description": "One word\n\n(minLength: 1)"}] * 2 == words


@pytest.mark.usefixtures("caller")
def test_other_parameters_of_the_same_name_stay() -> None:
    """
    A schema is put beside what the call says in the provider's own parameter.
    """
    call = asked(messages, CALLS["messages"][1], schema=River, output_config={"effort": "low"})
    config = call["request"]["output_config"]

    assert ({"effort", "format"}, "low") == (config.keys(), config["effort"])


def nothing_closed() -> dict[str, Any]:
    return {"type": "object", "properties": {"by_name": {"type": "object"}}}


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no schema": (messages, {"schema": "text"}, "neither a pydantic model class nor"),
    "a list": (messages, {"schema": RootModel[list[int]]}, "an answer is an object"),
    "an open object": (
        messages,
        {"schema": nothing_closed()},
        "schema.by_name is an object of any",
    ),
    "nothing said": (
        messages,
        {"schema": {"type": "object", "properties": {"x": {}}}},
        "schema.x does not say what the value is",
    ),
    "too large": (
        messages,
        {"schema": {"type": "object", "description": "x" * 70_000}},
        "at most 65,536 are taken",
    ),
    "twice": (
        messages,
        {"schema": River, "output_config": {"format": {"type": "json_schema"}}},
        "schema= and output_config.format say the same",
    ),
    "embeddings": (embeddings, {"schema": River}, "embeddings have no schema"),
    "chat twice": (chat, {"schema": River, "response_format": {"type": "text"}}, "say the same"),
    "text twice": (responses, {"schema": River, "text": {"format": {"type": "text"}}}, "say the"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.usefixtures("caller")
def test_a_schema_that_cannot_be_asked_for_is_refused_at_the_call(name: str) -> None:
    """
    The error names the place and what to do.
    """
    handle, more, says = REFUSED[name]
    request = {"model": "m", "tier": "batch"}
    with pytest.raises(CallError, match=says):
        handle.s(**request, **more)


def test_a_job_reads_its_answer_as_the_class_it_was_asked_with(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """
    The process that published has the instance; another says the class, or gets a dict.
    """
    job = messages.delay(**CALLS["messages"][1], tier="batch", schema=River)
    (message,) = sent(redis_client, "unhurried.batch")
    finish(caller, message, wire(json.dumps(ANSWER)))

    assert River.model_validate(ANSWER) == job.get(timeout=9).parsed
    assert River.model_validate(ANSWER) == messages.result(job.id, schema=River).parsed
    assert ANSWER == messages.job(job.id).get(timeout=9).parsed


def test_what_a_models_own_validators_refuse_is_their_error() -> None:
    """
    A rule that JSON Schema cannot say is looked at where the answer is read.
    """
    result = Result.parse(wire(json.dumps({**ANSWER, "name": "?"})), schema=River)

    with pytest.raises(ValidationError, match="a river has a name"):
        _ = result.parsed
