"""A call in a message that nobody can hold or ask for is refused, in words, whatever its canvas gave it."""

import json
from typing import Any

import pytest

from app.policy.admission import JobDraft
from tests.support.factories import NOW
from tests.unit.test_intake_messages import CALL, headers, packed, raw, read, refusal


def nested(levels: int) -> str:
    """JSON that a parser takes and a careless reader does not."""
    return "[" * levels + "]" * levels


def with_request(written: str) -> str:
    """A body whose request has one more argument, as it stands in JSON."""
    call = json.dumps(CALL).replace('"max_tokens": 9', f'"max_tokens": 9, {written}')
    return f"[[], {call}, {{}}]"


REQUESTS = {
    "NaN": ('"metadata": NaN', "request.metadata is nan"),
    "Infinity": ('"metadata": Infinity', "request.metadata is inf"),
    "-Infinity": ('"metadata": [-Infinity]', "request.metadata[0] is -inf"),
    "1e999": ('"metadata": 1e999', "request.metadata is inf"),
    "2**63": (f'"metadata": {2**63}', "beyond 64 bits"),
    "-(2**63)": (f'"metadata": {-(2**63)}', "beyond 64 bits"),
    "4,000 digits": (f'"metadata": {"9" * 4000}', "beyond 64 bits"),
    "a surrogate": ('"metadata": "\\ud800"', "lone surrogate"),
    "a surrogate in a key": ('"metadata": {"\\udc00": 1}', "lone surrogate"),
    "65 levels": (f'"metadata": {nested(65)}', "nested deeper than 64"),
    "900 levels": (f'"metadata": {nested(900)}', "nested deeper than 64"),
    "a date of kombu's": (
        '"metadata": {"__type__": "datetime", "__value__": "2026-11-23T12:00:00"}',
        "is a datetime",
    ),
    "a decimal of kombu's": (
        '"metadata": {"__type__": "decimal", "__value__": "NaN"}',
        "is a Decimal",
    ),
    "NUL in the model": ('"model": "a\\u0000b"', "model is no name"),
    "a separator in the model": ('"model": "a\\u2028b"', "model is no name"),
    "a model of 301 characters": (f'"model": "{"m" * 301}"', "model is no name"),
    "a million million tokens": ('"max_tokens": 1000000000000000', "which no answer costs"),
    "a million choices": ('"max_tokens": 9000000000000000000', "which no answer costs"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_nobody_can_hold_is_refused_in_words(name: str) -> None:
    """
    The refusal says what is wrong, and where.
    """
    written, says = REQUESTS[name]

    assert says in refusal(with_request(written)).message


OPTIONS: dict[str, tuple[Any, str]] = {
    "NUL in a subject": ({"subject": "a\0b"}, "option subject"),
    "NUL in a key": ({"idempotency_key": "a\0b"}, "option idempotency_key"),
    "a surrogate in a subject": ({"subject": "\ud800"}, "option subject"),
    "a surrogate in a key": ({"idempotency_key": "\ud800"}, "option idempotency_key"),
    "a tenant of two lines": ({"tenant": "a\nb"}, "option tenant"),
    "before the calendar": ({"as_of": "0001-01-01T00:00:00+14:00"}, "years 1 to 9999"),
    "after the calendar": ({"as_of": "9999-12-31T23:59:59-14:00"}, "years 1 to 9999"),
    "published before it": ({"published_at": "0001-01-01T00:00:00+14:00"}, "years 1 to 9999"),
    "a moment that is NaN": ({"as_of": float("nan")}, "option as_of"),
    "effective for ever": ({"effective_for_s": float("inf")}, "after the year 9999"),
    "effective for 1e300 s": ({"effective_for_s": 1e300}, "after the year 9999"),
    "effective for 1e12 s": ({"effective_for_s": 1e12}, "after the year 9999"),
    "effective for NaN": ({"effective_for_s": float("nan")}, "option effective_for_s"),
    "a deadline of NaN": ({"deadline_s": float("nan")}, "option deadline_s"),
    "a deadline of for ever": ({"deadline_s": float("inf")}, "option deadline_s"),
    "a schema of no dialect": ({"answer_schema": {"$schema": [1]}}, "schema: "),
    "a schema of a dialect that is a number": ({"answer_schema": {"$schema": 7}}, "schema: "),
    "a schema of 200 levels": ({"answer_schema": {"a": json.loads(nested(200))}}, "schema: "),
    "a schema with NaN": ({"answer_schema": {"minimum": float("nan")}}, "schema: "),
    "a notice of no kind": ({"notify": [{"kind": [1]}]}, "option notify"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_nobody_can_hold_is_refused_in_words(name: str) -> None:
    """
    The refusal names the option.
    """
    changed, says = OPTIONS[name]
    body = json.dumps([[], CALL | {"options": {"tier": "batch"} | changed}, {}])

    assert says in refusal(body).message


@pytest.mark.parametrize("levels", [150, 500, 900])
@pytest.mark.parametrize("task", ["messages", "responses", "chat", "embeddings"])
def test_a_previous_step_that_is_nested_too_deep_is_refused(task: str, levels: int) -> None:
    """
    What it returned is any JSON; merging it recurses, and comes to an end.
    """
    request = {"model": "m", "input": ["a"]} if task != "messages" else CALL["request"]
    if task == "chat":
        request = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
    call = json.dumps(CALL | {"request": request})
    found = refusal(f"[[{nested(levels)}], {call}, {{}}]", **headers(task=f"unhurried.{task}.v1"))

    assert found.code in {"invalid_request", "upstream_failed"}


@pytest.mark.parametrize("before", [7, True, 1.5, {"a": 1}, "text"], ids=repr)
def test_a_turn_goes_into_a_list_alone(before: Any) -> None:
    """
    Messages that are no list before a previous step are refused, and are not unpacked.
    """
    call = CALL | {"request": CALL["request"] | {"messages": before}}

    assert "messages must be a list" in refusal(json.dumps([["A."], call, {}])).message


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "x", 7, [], "9" * 5000],
    ids=lambda one: str(one)[:30],
)
@pytest.mark.parametrize("name", ["eta", "expires"])
def test_a_time_of_celerys_that_is_none_is_no_wish(name: str, moment: Any) -> None:
    """
    The call is a job that waits for nothing and does not expire.
    """
    found = read(raw(**headers(**{name: moment}))).decision

    assert isinstance(found, JobDraft)
    assert (NOW, None) == (found.ready_at, found.due_at)


def test_names_and_prompts_of_any_script_are_taken() -> None:
    """
    NUL and line separators in a prompt, and an id, a key and a subject beyond ASCII, change nothing.
    """
    prompt = "a\0b\u2028c\u2029d\x85e\x0bf\ufeffg"
    call = {
        "request": CALL["request"] | {"messages": [{"role": "user", "content": prompt}]},
        "options": {"tier": "batch", "idempotency_key": "ключ", "subject": "利用者\u2028"},
    }
    found = read(raw(body=packed(json.dumps([[], call, {}])), **headers(id="задача"))).decision

    assert isinstance(found, JobDraft)
    assert ("ключ", "利用者\u2028") == (found.key, found.subject)
    assert prompt == json.loads(found.request)["messages"][0]["content"]
    assert 1 == len(found.request.decode().splitlines())
