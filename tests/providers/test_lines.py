"""Result files are cut at newlines only, and what is not a result is kept, not guessed."""

import io
import json
from collections.abc import Sequence
from functools import partial

import pytest

from app.policy.outcomes import (
    Answered,
    Cancelled,
    Closed,
    Finish,
    Lapsed,
    Outcome,
    Rejected,
    Transient,
    Usage,
)
from app.providers import lines, openai_lines
from app.providers.anthropic import AnthropicProvider
from app.providers.openai import OpenAIProvider
from app.providers.port import Line, Malformed
from tests.providers.adapters import ENDPOINTS, Adapter

EXPIRED: dict[str, dict[str, object]] = {
    "anthropic": {"custom_id": "a", "result": {"type": "expired"}},
    "openai": {"custom_id": "a", "response": None, "error": {"code": "batch_expired"}},
}


def read(adapter: Adapter, *records: object) -> Sequence[Line | Malformed]:
    raws = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in records]
    source = io.BytesIO(b"\n".join(raws))
    return list(adapter.read_lines(source, endpoint=ENDPOINTS[adapter.name]))


def outcome(adapter: Adapter, record: dict[str, object]) -> Outcome:
    (line,) = read(adapter, {"custom_id": "a", **record})
    assert isinstance(line, Line), line
    return line.outcome


def message(**fields: object) -> dict[str, object]:
    whole = {
        "id": "msg_1",
        "type": "message",
        "model": "claude-opus-4-8",
        "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": " you"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 5},
        **fields,
    }
    return {"result": {"type": "succeeded", "message": whole}}


def response(**fields: object) -> dict[str, object]:
    body = {
        "id": "resp_1",
        "model": "gpt-5-mini",
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]},
        ],
        "usage": {"input_tokens": 10, "output_tokens": 5},
        **fields,
    }
    return {"response": {"status_code": 200, "request_id": "req_1", "body": body}, "error": None}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", Finish.ANSWERED),
        ("stop_sequence", Finish.ANSWERED),
        ("tool_use", Finish.ANSWERED),
        ("max_tokens", Finish.TRUNCATED),
        ("model_context_window_exceeded", Finish.TRUNCATED),
        ("pause_turn", Finish.PAUSED),
        ("refusal", Finish.REFUSED),
        ("a_reason_of_tomorrow", Finish.INCOMPLETE),
        (None, Finish.INCOMPLETE),
    ],
)
def test_a_stop_reason_says_how_an_anthropic_answer_finished(
    anthropic: AnthropicProvider, reason: str | None, finish: Finish
) -> None:
    """A succeeded line holds a whole answer only for three stop reasons."""
    answered = outcome(anthropic, message(stop_reason=reason))
    assert isinstance(answered, Answered)
    assert (answered.finish, answered.output) == (finish, "Hello you")


def test_anthropic_usage_is_counted_with_its_cached_tokens(anthropic: AnthropicProvider) -> None:
    """Our input tokens are the sum of Anthropic's three."""
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "cache_read_input_tokens": 4000,
        "output_tokens": 5,
        "output_tokens_details": {"thinking_tokens": 3},
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "batch",
        "inference_geo": "us",
    }
    answered = outcome(anthropic, message(usage=usage))
    assert isinstance(answered, Answered)
    assert answered.usage == Usage(
        input_tokens=4310,
        output_tokens=5,
        cache_read_tokens=4000,
        cache_write_tokens=300,
        cache_write_1h_tokens=200,
        reasoning_tokens=3,
        web_searches=2,
        service_tier="batch",
        inference_geo="us",
    )


def errored(kind: str, **more: object) -> dict[str, object]:
    error = {"type": kind, "message": "no", **more}
    envelope = {"type": "error", "error": error, "request_id": "req_1"}
    return {"result": {"type": "errored", "error": envelope}}


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("invalid_request_error", {}, Rejected),
        ("not_found_error", {}, Rejected),
        ("overloaded_error", {}, Transient),
        ("api_error", {}, Transient),
        ("rate_limit_error", {}, Transient),
        ("an_error_of_tomorrow", {}, Transient),
        ("permission_error", {}, Rejected),
        ("authentication_error", {}, Closed),
        ("billing_error", {}, Closed),
        ("invalid_request_error", {"details": {"error_code": "organization_on_hold"}}, Closed),
        ("rate_limit_error", {"details": {"error_code": "enforced_spend_limit_reached"}}, Closed),
    ],
)
def test_the_nested_error_type_says_whether_an_anthropic_line_may_be_repeated(
    anthropic: AnthropicProvider, kind: str, more: dict[str, object], expected: type[Outcome]
) -> None:
    """The type stands inside the error inside the error."""
    failed = outcome(anthropic, errored(kind, **more))
    assert isinstance(failed, Rejected | Transient | Closed)
    assert (type(failed), failed.message, failed.request_id) == (expected, "no", "req_1")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Your credit balance is too low to access the Anthropic API.", Closed),
        ("You have reached your specified API usage limits.", Closed),
        ("This request would exceed your workspace's spend limit.", Closed),
        ("max_tokens: 200000 > 64000", Rejected),
    ],
)
def test_an_account_without_money_says_so_in_words(
    adapter: Adapter, message: str, expected: type[Outcome]
) -> None:
    """What has no code of its own is known as in a reply, by the same words."""
    error = {"type": "invalid_request_error", "message": message}
    records = {
        "anthropic": errored(error["type"], message=message),
        "openai": http(400, {"error": error}),
    }
    failed = outcome(adapter, records[adapter.name])
    assert isinstance(failed, Rejected | Closed)
    assert (type(failed), failed.message) == (expected, message)


def test_the_other_ends_of_an_anthropic_line(anthropic: AnthropicProvider) -> None:
    """Expired is lapsed, canceled is cancelled, an unknown type is nobody's answer."""
    assert outcome(anthropic, {"result": {"type": "expired"}}) == Lapsed()
    assert outcome(anthropic, {"result": {"type": "canceled"}}) == Cancelled()
    unknown = read(anthropic, {"custom_id": "a", "result": {"type": "new", "message": None}})
    assert [type(line) for line in unknown] == [Malformed]


@pytest.mark.parametrize(
    ("fields", "finish", "output"),
    [
        ({}, Finish.ANSWERED, "Hello"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            Finish.TRUNCATED,
            "Hello",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            Finish.REFUSED,
            "Hello",
        ),
        ({"status": "incomplete", "incomplete_details": None}, Finish.INCOMPLETE, "Hello"),
        ({"status": "in_progress"}, Finish.INCOMPLETE, "Hello"),
        (
            {
                "output": [
                    {"type": "message", "content": [{"type": "refusal", "refusal": "I will not"}]}
                ]
            },
            Finish.REFUSED,
            "I will not",
        ),
    ],
)
def test_the_status_says_how_a_response_finished(
    openai: OpenAIProvider, fields: dict[str, object], finish: Finish, output: str
) -> None:
    """HTTP 200 is not success: status, reason and refusal parts are read."""
    answered = outcome(openai, response(**fields))
    assert isinstance(answered, Answered)
    assert (answered.finish, answered.output, answered.request_id) == (finish, output, "req_1")
    assert json.loads(answered.body)["id"] == "resp_1"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("server_error", Transient),
        ("rate_limit_exceeded", Transient),
        ("invalid_prompt", Rejected),
        ("image_too_large", Rejected),
        ("insufficient_quota", Closed),
    ],
)
def test_a_failed_response_was_billed(
    openai: OpenAIProvider, code: str, expected: type[Outcome]
) -> None:
    """A failed response keeps its usage, and its code says whether to repeat it."""
    failed = outcome(openai, response(status="failed", error={"code": code, "message": "no"}))
    assert isinstance(failed, Rejected | Transient | Closed)
    assert (type(failed), failed.code) == (expected, code)
    assert failed.usage == Usage(input_tokens=10, output_tokens=5)


def http(status: int, body: object = None) -> dict[str, object]:
    reply = {"status_code": status, "request_id": "req_1", "body": body or {}}
    return {"response": reply, "error": None}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (http(400, {"error": {"code": "invalid_value", "message": "no"}}), Rejected),
        (http(400, {"error": {"code": "billing_hard_limit_reached"}}), Closed),
        (http(401), Closed),
        (http(402), Closed),
        (http(403), Rejected),
        (http(403, {"error": {"code": "model_not_found", "message": "no access"}}), Rejected),
        (http(403, {"error": {"code": "account_deactivated", "message": "no"}}), Closed),
        (http(429, {"error": {"code": "insufficient_quota", "message": "no"}}), Closed),
        (http(429, {"error": {"type": "insufficient_quota", "message": "no"}}), Closed),
        (http(404), Rejected),
        (http(413), Rejected),
        (http(422), Rejected),
        (http(408), Transient),
        (http(409), Transient),
        (http(429), Transient),
        (http(500), Transient),
        (http(503), Transient),
        (http(0), Transient),
        ({"response": None, "error": {"code": "request_timeout", "message": "x"}}, Transient),
        ({"response": None, "error": {"message": "An error occurred"}}, Transient),
        ({"response": None, "error": {"code": "invalid_prompt"}}, Rejected),
        ({"response": None, "error": {"code": "billing_not_active"}}, Closed),
        ({"response": None, "error": {"code": "batch_expired"}}, Lapsed),
        ({"response": None, "error": {"code": "batch_cancelled"}}, Cancelled),
    ],
)
def test_status_and_code_say_how_an_openai_line_failed(
    openai: OpenAIProvider, record: dict[str, object], expected: type[Outcome]
) -> None:
    """Lines with status 0, without a code or without an error are worth another try."""
    assert isinstance(outcome(openai, record), expected)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"custom_id":"a","response":NaN}',
        b'{"custom_id":"a","response":1e999}',
        b'{"custom_id":"a","response":' + b"9" * 5000 + b"}",
        b'{"custom_id":"a","response":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"custom_id":"a","custom_id":"b","result":{"type":"expired"}}',
        b'{"custom_id":7,"result":{"type":"expired"}}',
        b'{"result":{"type":"expired"}}',
        b'{"custom_id":"a"}',
        b'{"custom_id":"a","result":{"type":"succeeded","message":null},"response":null}',
        b'{"custom_id":"a","result":{"ty',
        b'["custom_id"]',
        b'"\xff"',
    ],
    ids=lambda raw: raw[:40].decode("latin1"),
)
def test_a_line_that_is_not_a_result_is_kept(adapter: Adapter, raw: bytes) -> None:
    """Whatever a line holds, its neighbours are read and it is kept for people."""
    before, malformed, after = read(adapter, EXPIRED[adapter.name], raw, EXPIRED[adapter.name])
    assert isinstance(before, Line)
    assert isinstance(after, Line)
    assert isinstance(malformed, Malformed)
    assert malformed.raw
    assert raw.startswith(malformed.raw.rstrip(b"\n"))


def test_only_a_newline_ends_a_line(adapter: Adapter) -> None:
    """BOM, CRLF, blank lines and Unicode separators inside strings change nothing."""
    expired = EXPIRED[adapter.name]
    separated = json.dumps({**expired, "note": "a\u2028b\u2029c\u0085d\u000b"}, ensure_ascii=False)
    found = read(adapter, b"\xef\xbb\xbf" + separated.encode() + b"\r", b"", b"  \r", expired)
    assert [type(line) for line in found] == [Line, Line]


def test_a_line_beyond_the_cap_costs_only_itself() -> None:
    """Of a line that is too long only the beginning is held, and the next one is read."""
    expired = json.dumps(EXPIRED["openai"]).encode()
    long = b'{"custom_id":"' + b"x" * 500_000 + b'"}'
    source = io.BytesIO(b"\n".join([expired, long, expired]))
    found = list(
        lines.read(
            source, partial(openai_lines.record, read=openai_lines.answer), line_bytes_max=1000
        )
    )
    assert [type(line) for line in found] == [Line, Malformed, Line]
    assert isinstance(found[1], Malformed)
    assert len(found[1].raw) == 1000


def test_half_a_character_never_reaches_the_ledger(anthropic: AnthropicProvider) -> None:
    """Lone surrogates and NULs become a replacement character; pairs survive."""
    content = [{"type": "text", "text": "a\ud800b\0c\U0001f600"}]
    answered = outcome(anthropic, message(content=content))
    assert isinstance(answered, Answered)
    assert answered.output == "a\ufffdb\ufffdc\U0001f600"
