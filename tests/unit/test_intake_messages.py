"""Whatever lies in the queue becomes a job, a refusal, or a message for people: never an exception."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake import messages
from app.ledger.admission import Admission
from app.policy.admission import JobDraft, Refusal
from tests.support.factories import NOW, RULES

CALL: dict[str, Any] = {
    "request": {
        "model": "claude-haiku-4-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hello"}],
    },
    "options": {"tier": "batch"},
}
HEADERS = {"id": "task-1", "task": "unhurried.messages.v1"}
BASE64 = {"body_encoding": "base64"}
GOOD = json.dumps([[], CALL, {}])


def packed(body: str | bytes) -> str:
    """As kombu writes a body."""
    raw = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return base64.b64encode(raw).decode()


def raw(**changed: Any) -> bytes:
    """A good message in Redis, but for what is named."""
    envelope = {
        "headers": HEADERS,
        "properties": BASE64,
        "body": packed(GOOD),
        "content-type": "application/json",
        "content-encoding": "utf-8",
    }
    return json.dumps(envelope | changed).encode()


def read(message: bytes) -> Admission:
    """What becomes of it."""
    return messages.read(message, now=NOW, rules=RULES)


def refusal(body: str | bytes, **changed: Any) -> Refusal:
    """The refusal of a message with this body."""
    found = read(raw(body=packed(body), **changed)).decision
    assert isinstance(found, Refusal), found
    return found


def headers(**changed: Any) -> dict[str, Any]:
    """A change of headers."""
    return {"headers": HEADERS | changed}


def test_the_message_that_the_others_differ_from_is_a_job() -> None:
    """
    So what is refused below is refused for what is named.
    """
    assert isinstance(read(raw()).decision, JobDraft)


NOT_TEXT = {"NUL": "a\0b", "a surrogate": "a\ud800", "long": "x" * 501, "empty": ""}
UNREADABLE: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "NaN alone": b"NaN",
    "a list": b"[]",
    "other bytes": b'{"headers": "\xff"}',
    "depth": b"[" * 100_000,
    "depth of objects": b'{"a":' * 100_000,
    "5,000 digits": b'{"headers": %s}' % (b"9" * 5000),
    "headers that are none": raw(headers=[]),
    "no id": raw(headers={"task": "t"}),
    "no task": raw(headers={"id": "i"}),
    "an id that is a number": raw(**headers(id=7)),
    "a body that is an object": raw(body={}),
    "a body that is no base64": raw(body="%%%"),
    "a body beyond ASCII": raw(body="\u00e9"),
    "a body of half a character": raw(body="\ud800"),
    "properties that are a list": raw(properties=[1]),
    "properties that are text": raw(properties="x"),
    "properties that are a number": raw(properties=7),
    **{f"id: {how}": raw(**headers(id=value)) for how, value in NOT_TEXT.items()},
    **{f"task: {how}": raw(**headers(task=value)) for how, value in NOT_TEXT.items()},
    **{f"group: {how}": raw(**headers(group=value)) for how, value in NOT_TEXT.items()},
    **{f"root_id: {how}": raw(**headers(root_id=value)) for how, value in NOT_TEXT.items()},
    **{f"content-type: {how}": raw(**{"content-type": one}) for how, one in NOT_TEXT.items()},
    **{f"content-encoding: {how}": raw(**{"content-encoding": "a\0"}) for how in ("NUL",)},
    "a group that is an object": raw(**headers(group={"a": 1})),
    "a root that is a list": raw(**headers(root_id=["a"])),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_names_no_task_that_could_be_told_is_for_people(name: str) -> None:
    """
    `Unreadable`, which the pump keeps in quarantine, and no other exception.
    """
    with pytest.raises(messages.Unreadable):
        read(UNREADABLE[name])


def test_a_byte_order_mark_costs_no_message() -> None:
    """
    Before the envelope it changes nothing, before a body it fails the task.
    """
    assert read(raw()).decision == read(b"\xef\xbb\xbf" + raw()).decision
    assert "unreadable" == refusal("\ufeff" + GOOD).code


BODIES: dict[str, str | bytes] = {
    "no JSON": "{",
    "other bytes": b"\xff\xfe\x00",
    "a number": "7",
    "two of three": "[[], {}]",
    "args that are an object": '[{}, {"request": {}, "options": {}}, {}]',
    "kwargs that are a list": "[[], [], {}]",
    "depth": "[" * 100_000,
    "5,000 digits": f"[[], {{}}, {'9' * 5000}]",
    "a date that is a number": '[[], {"a": {"__type__": "datetime", "__value__": 5}}, {}]',
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_cannot_be_read_fails_its_task(name: str) -> None:
    """
    With the code `unreadable`: the message names a task that can be told.
    """
    assert "unreadable" == refusal(BODIES[name]).code


@pytest.mark.parametrize(
    "changed",
    [
        {"content-type": "application/x-python-serialize"},
        {"content-type": "application/x-yaml"},
        {"content-type": "application/x-msgpack"},
        {"content-type": "application/data"},
        {"content-type": "text/plain"},
    ],
    ids=str,
)
def test_a_body_is_decoded_as_json_and_as_nothing_else(changed: dict[str, str]) -> None:
    """
    Pickle, YAML and the like are refused whatever the body holds.
    """
    assert "unreadable" == refusal(GOOD, **changed).code


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


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\0", "\ud800", "\u2028", "0001-01-01T00:00:00+14:00"])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5)
            | st.sampled_from(
                ["schema", "error", "output", "kind", "$ref", "$schema", "unhurried_ref"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
TASKS = st.sampled_from(
    [f"unhurried.{name}.v1" for name in "messages responses chat embeddings email webhook".split()]
    + ["unhurried.run.v1"]
)
PLACES = ["args", "kwargs", "embed", "request", "options", "headers", "properties"]
NAMED = ["to", "receiver", "model", "messages", "input", "max_tokens", "notify", "answer_schema"]


@given(task=TASKS, place=st.sampled_from(PLACES), named=st.sampled_from(NAMED), value=JSON)
def test_no_json_anywhere_ends_the_reader(task: str, place: str, named: str, value: Any) -> None:
    """
    A decision, or `Unreadable`; and what the ledger's text columns get of it is text.
    """
    call: dict[str, Any] = {**CALL, "to": "a@example.org", "receiver": "crm"}
    parts: dict[str, Any] = {"args": [], "kwargs": call, "embed": {}}
    changed: dict[str, Any] = headers(task=task)
    if place in parts:
        parts[place] = {**call, named: value} if place == "kwargs" else [value]
    elif place in CALL:
        parts["kwargs"] = call | {place: {**call[place], named: value}}
    elif place == "headers":
        changed = headers(task=task, group=value, root_id=value, eta=value, parent_id=value)
    else:
        changed |= {"properties": value}
    body = json.dumps([parts["args"], parts["kwargs"], parts["embed"]])
    try:
        found = read(raw(**({"body": packed(body)} | changed)))
    except messages.Unreadable:
        return
    for text in (found.message.task_id, found.message.group_id, found.message.root_id):
        assert text is None or "\0" not in text.encode().decode()
    if isinstance(found.decision, JobDraft):
        for text in (found.decision.model, found.decision.key, found.decision.subject):
            assert text is None or "\0" not in text.encode().decode()
