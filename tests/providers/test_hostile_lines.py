"""Whatever stands in a result file, each line is an outcome or malformed, and can be stored."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy.outcomes import Answered, Rejected, Transient
from app.policy.pricing import price
from app.providers.anthropic import AnthropicProvider
from app.providers.openai import OpenAIProvider
from app.providers.port import Line, Malformed
from tests.providers.adapters import ENDPOINTS, KINDS, Adapter, build

Read = Callable[..., list[Line | Malformed]]

#: In place of each `%s` in turn.
STRANGE: dict[str, str] = {
    "null": "null",
    "a list": "[]",
    "a list of a list": "[[1]]",
    "an object": '{"a": 1}',
    "true": "true",
    "a fraction": "1.5",
    "below zero": "-1",
    "NUL": '"a\\u0000b"',
    "a surrogate": '"a\\ud800b"',
    "line separators": '"a\\u2028b\\u2029c\\u0085d\\u000be"',
    "30 digits": "9" * 30,
    "4,000 digits": "9" * 4000,
    "1e300": "1e300",
    "empty": '""',
    "900 levels": "[" * 900 + "]" * 900,
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "1e999": "1e999",
    "5,000 digits": "9" * 5000,
    "100,000 levels": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "named twice": '{"a": 1, "a": 2}',
}
_MESSAGE = (
    '{"type": "succeeded", "message": {"model": %s, "content": [{"type": %s, "text": %s}, '
    '{"type": "text", "text": %s}, {"type": "tool_use", "id": %s, "name": %s, "input": %s}], '
    '"stop_reason": %s, "usage": {"input_tokens": %s, "output_tokens": %s, "cache_creation": %s, '
    '"service_tier": %s}}}'
)
_ERRORED = (
    '{"type": %s, "error": {"error": {"type": %s, "message": %s, "details": {"error_code": %s}}, '
    '"request_id": %s}}'
)
_RESPONSE = (
    '{"status_code": 200, "request_id": %s, "body": {"status": %s, "error": %s, "model": %s, '
    '"incomplete_details": {"reason": %s}, "output": [{"type": %s}, {"type": "message", '
    '"content": [%s, {"type": "output_text", "text": %s}, {"type": "refusal", "refusal": %s}]}, '
    '{"type": "function_call", "call_id": %s, "name": %s, "arguments": %s}], '
    '"usage": {"input_tokens": %s, "output_tokens_details": %s}}}'
)
_FAILED = '{"status_code": %s, "request_id": %s, "body": {"error": {"code": %s, "message": %s}}}'
_CHAT = (
    '{"status_code": 200, "body": {"model": %s, "choices": [{"finish_reason": %s, "message": '
    '{"refusal": %s, "content": %s, "tool_calls": [{"id": %s, "function": {"name": %s, '
    '"arguments": %s}}], "function_call": %s}}], "usage": {"prompt_tokens": %s}}}'
)
_VECTORS = (
    '{"status_code": 200, "body": {"data": [{"index": %s, "embedding": %s}, %s], "usage": %s}}'
)
#: Provider, endpoint, and a line whose every value is open.
RECORDS: dict[str, tuple[type[Adapter], str, str]] = {
    "message": (AnthropicProvider, "messages", f'{{"custom_id": "a", "result": {_MESSAGE}}}'),
    "errored": (AnthropicProvider, "messages", f'{{"custom_id": "a", "result": {_ERRORED}}}'),
    "result": (AnthropicProvider, "messages", '{"custom_id": "a", "result": %s}'),
    "response": (OpenAIProvider, "responses", f'{{"custom_id": "a", "response": {_RESPONSE}}}'),
    "failed": (OpenAIProvider, "responses", f'{{"custom_id": "a", "response": {_FAILED}}}'),
    "error": (
        OpenAIProvider,
        "responses",
        '{"custom_id": "a", "response": %s, "error": {"code": %s, "message": %s, "type": %s}}',
    ),
    "chat": (OpenAIProvider, "chat", f'{{"custom_id": "a", "response": {_CHAT}}}'),
    "vectors": (OpenAIProvider, "embeddings", f'{{"custom_id": "a", "response": {_VECTORS}}}'),
}
EXPIRED = {
    AnthropicProvider: b'{"custom_id": "b", "result": {"type": "expired"}}',
    OpenAIProvider: b'{"custom_id": "b", "error": {"code": "batch_expired"}}',
}


def variants(template: str, strange: str) -> Iterator[bytes]:
    """The line with the strange value in each place in turn, and something plain in the others."""
    parts = template.split("%s")
    for place in range(len(parts) - 1):
        written = [strange if one == place else '"x"' for one in range(len(parts) - 1)] + [""]
        yield "".join(a + b for a, b in zip(parts, written, strict=True)).encode()


def lines(strange: str) -> Iterator[tuple[type[Adapter], str, bytes]]:
    """Every record's variants, with who reads them."""
    for kind, endpoint, template in RECORDS.values():
        for raw in variants(template, strange):
            yield kind, endpoint, raw


@pytest.fixture(scope="module")
def read() -> Iterator[Read]:
    """Reads lines as the collector does."""
    adapters = {kind: build(kind, "http://127.0.0.1:9") for kind in KINDS}

    def lines_of(kind: type[Adapter], endpoint: str, *raws: bytes) -> list[Line | Malformed]:
        return list(adapters[kind].read_lines(io.BytesIO(b"\n".join(raws)), endpoint=endpoint))

    yield lines_of
    for adapter in adapters.values():
        adapter.close()


def texts(value: Any) -> Iterator[str]:
    """Every text of an outcome."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for one in fields(value):
            yield from texts(getattr(value, one.name))
    elif isinstance(value, tuple):
        for inner in value:
            yield from texts(inner)


def require_storable(line: Line | Malformed) -> None:
    """What text columns get is text, and what is counted and priced fits its column."""
    if isinstance(line, Malformed):
        assert line.raw
        return
    for text in texts(line.outcome):
        assert b"\0" not in text.encode()
    usage = (
        line.outcome.usage if isinstance(line.outcome, Answered | Rejected | Transient) else None
    )
    if usage is not None:
        paid = price("anthropic", "claude-opus-4-1", usage, batch=False, overrides={})
        assert paid is None or 0 <= paid < 2**63


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_value_anywhere_costs_its_own_line_alone(read: Read, name: str) -> None:
    """
    Wherever it stands, what comes of its line can be stored, and its neighbours are read.
    """
    for kind, endpoint, raw in lines(STRANGE[name]):
        before, found, after = read(kind, endpoint, EXPIRED[kind], raw, EXPIRED[kind])

        require_storable(found)
        assert isinstance(before, Line)
        assert isinstance(after, Line)


@pytest.mark.parametrize("name", ["NaN", "Infinity", "1e999", "5,000 digits", "100,000 levels"])
def test_what_is_no_json_is_malformed_wherever_it_stands(read: Read, name: str) -> None:
    """
    Python's own parser would take NaN, and end at a number or at depth.
    """
    for kind, endpoint, raw in lines(STRANGE[name]):
        assert [Malformed] == [type(one) for one in read(kind, endpoint, raw)]


@pytest.mark.parametrize(
    "between", ["\u2028", "\u2029", "\x85", "\r", "\x0b", "\x0c", "\x1e"], ids=repr
)
@pytest.mark.parametrize("kind", KINDS, ids=["anthropic", "openai"])
def test_what_text_readers_take_for_the_end_of_a_line_is_none(
    read: Read, kind: type[Adapter], between: str
) -> None:
    """
    Written as it is into a text: one line, which is malformed where JSON has it escaped.
    """
    line = EXPIRED[kind]
    written = line[:-1] + b', "note": "a%sb"}' % between.encode()

    found = read(kind, ENDPOINTS[kind.name], line, written, line)

    read_as = Line if between >= " " else Malformed
    assert [Line, read_as, Line] == [type(one) for one in found]


@pytest.mark.parametrize("kind", KINDS, ids=["anthropic", "openai"])
def test_a_byte_order_mark_is_taken_off_each_line_once(read: Read, kind: type[Adapter]) -> None:
    """
    One before a line is nothing; two of them are no JSON.
    """
    mark, line = b"\xef\xbb\xbf", EXPIRED[kind]

    found = read(kind, ENDPOINTS[kind.name], mark + line, mark + line, mark * 2 + line)

    assert [Line, Line, Malformed] == [type(one) for one in found]


@pytest.mark.parametrize(
    ("said", "counted"),
    [(10**9, 10**9), (10**9 + 1, 0), (2**53, 0), (2**63, 0), (-1, 0), ("7", 0), (1.0, 0)],
)
def test_a_count_that_nobody_could_pay_is_none(read: Read, said: object, counted: int) -> None:
    """
    More than a billion tokens of one answer is the provider's mistake, and is no price.
    """
    message = {"content": [], "usage": {"input_tokens": said, "output_tokens": 3}}
    record = {"custom_id": "a", "result": {"type": "succeeded", "message": message}}
    (found,) = read(AnthropicProvider, "messages", json.dumps(record).encode())

    assert isinstance(found, Line)
    assert isinstance(found.outcome, Answered)
    assert counted == found.outcome.usage.input_tokens


@pytest.mark.parametrize("said", [10**9 + 1, 2**63, -1, "7", 1.5, [7], True], ids=str)
@pytest.mark.parametrize(
    ("kind", "endpoint", "name"),
    [
        (AnthropicProvider, "messages", "input_tokens"),
        (AnthropicProvider, "messages", "output_tokens"),
        (AnthropicProvider, "messages", "cache_read_input_tokens"),
        (OpenAIProvider, "responses", "output_tokens"),
        (OpenAIProvider, "chat", "completion_tokens"),
    ],
)
def test_a_usage_with_a_count_that_is_none_has_no_price(
    read: Read, kind: type[Adapter], endpoint: str, name: str, said: object
) -> None:
    """
    The other counts alone are not what it billed.
    """
    names = ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens")
    body = {
        "content": [],
        "output": [],
        "choices": [{"message": {"content": "Fine."}}],
        "model": "claude-opus-4-1" if kind is AnthropicProvider else "gpt-5-mini",
        "usage": {**dict.fromkeys(names, 3), name: said},
    }
    record = {
        "custom_id": "a",
        "result": {"type": "succeeded", "message": body},
        "response": {"status_code": 200, "body": body},
    }
    (found,) = read(kind, endpoint, json.dumps(record).encode())

    assert isinstance(found, Line)
    assert isinstance(found.outcome, Answered)
    usage = found.outcome.usage
    assert price(kind.name, found.outcome.model, usage, batch=True, overrides={}) is None


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
NAMES = st.sampled_from(
    "custom_id result response error body status_code status type message content text model usage "
    "stop_reason output incomplete_details reason input_tokens choices data embedding index id name "
    "arguments input tool_calls function finish_reason".split()
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)


@given(record=st.sampled_from(list(RECORDS)), values=st.lists(JSON, min_size=20, max_size=20))
def test_no_record_ends_the_reader(read: Read, record: str, values: list[Any]) -> None:
    """
    Any JSON in every place of a line at once.
    """
    kind, endpoint, template = RECORDS[record]
    parts = template.split("%s")
    written = [json.dumps(one) for one in values[: len(parts) - 1]] + [""]
    raw = "".join(a + b for a, b in zip(parts, written, strict=True)).encode()
    for found in read(kind, endpoint, raw):
        require_storable(found)
