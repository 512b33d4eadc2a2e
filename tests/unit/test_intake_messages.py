"""Whatever lies in the queue becomes a job, a refusal, or a message for people: never an exception."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake import messages
from app.ledger.arrivals import Admission
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
