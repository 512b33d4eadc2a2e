"""A streamed answer is the answer; one that breaks is in doubt, and never sent again here."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from app.policy.outcomes import Answered
from app.providers.port import Ambiguous, Direct, DirectReply, LaneClosed, NotTaken
from tests.providers.adapters import ENDPOINTS, KINDS, Adapter, build
from tests.providers.scripted import Reply, Server
from tests.simulator.conftest import Simulator, running

TEXT = "A queue decouples two parties. The queue keeps work. Lunch is at noon."
REQUESTS: dict[str, dict[str, Any]] = {
    "messages": {
        "model": "claude-haiku-4-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": TEXT}],
    },
    "responses": {"model": "gpt-5-mini", "input": TEXT},
    "chat": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": TEXT}]},
    "embeddings": {"model": "text-embedding-3-small", "input": TEXT},
}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A provider that streams."""
    with running(tmp_path_factory.mktemp("simulator"), "--speed", "600") as found:
        yield found


@pytest.fixture(params=list(REQUESTS))
def endpoint(request: pytest.FixtureRequest) -> str:
    """Each of the four."""
    name: str = request.param
    return name


@pytest.fixture
def streaming(simulator: Simulator, endpoint: str) -> Iterator[Adapter]:
    """The adapter of the endpoint's provider."""
    adapter = build(KINDS[0] if endpoint == "messages" else KINDS[1], simulator.url)
    yield adapter
    adapter.close()


def asked(endpoint: str, marker: str = "") -> bytes:
    """A request, perhaps with a marker for the simulator."""
    return json.dumps(REQUESTS[endpoint]).replace("Lunch", f"{marker} Lunch").encode()


def stream(adapter: Adapter, request: bytes, endpoint: str) -> tuple[DirectReply, list[str]]:
    """The reply and every text on the way."""
    texts: list[str] = []
    reply = adapter.stream(request, endpoint=endpoint, timeout_s=20, on_text=texts.append)
    return reply, texts


@pytest.mark.parametrize("marker", ["", "[[sim:truncated]]", "[[sim:refusal]]", "[[sim:pause]]"])
def test_a_streamed_answer_is_the_answer(streaming: Adapter, endpoint: str, marker: str) -> None:
    """
    Text, finish, usage and model are those of the same request answered at once.
    """
    request = asked(endpoint, marker)
    plain = streaming.answer(request, endpoint=endpoint, timeout_s=20)
    reply, texts = stream(streaming, request, endpoint)

    assert isinstance(plain, Direct)
    assert isinstance(reply, Direct)
    assert isinstance(plain.outcome, Answered)
    assert isinstance(reply.outcome, Answered)
    assert _told(plain.outcome) == _told(reply.outcome)
    assert texts == sorted(texts, key=len)
    assert endpoint == "embeddings" or not texts or texts[-1] == plain.outcome.output


TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: dict[str, dict[str, Any]] = {
    "messages": {"name": "weather", "description": "-", "input_schema": TOOL},
    "responses": {"type": "function", "name": "weather", "parameters": TOOL, "strict": False},
    "chat": {"type": "function", "function": {"name": "weather", "parameters": TOOL}},
}


def test_a_streamed_call_of_a_tool_is_the_call(streaming: Adapter, endpoint: str) -> None:
    """
    Its arguments come in pieces, and are whole in the end.
    """
    if endpoint not in TOOLS:
        assert endpoint == "embeddings"
        return
    fields = json.loads(asked(endpoint, "[[sim:tool]]")) | {"tools": [TOOLS[endpoint]]}
    request = json.dumps(fields).encode()
    plain = streaming.answer(request, endpoint=endpoint, timeout_s=20)
    reply, _ = stream(streaming, request, endpoint)

    assert isinstance(plain, Direct)
    assert isinstance(reply, Direct)
    assert isinstance(plain.outcome, Answered)
    assert isinstance(reply.outcome, Answered)
    calls = [_calls(outcome.body) for outcome in (plain.outcome, reply.outcome)]
    assert calls[0] == calls[1] == ["weather"]


def _calls(body: bytes) -> list[str]:
    """The names of the tools that an answer calls, wherever its provider puts them."""
    return sorted(set(re.findall(r'"name": ?"(\w+)"', body.decode())))


@pytest.mark.parametrize("fault", ["cut", "reply_lost"])
def test_a_stream_cut_midway_is_in_doubt(
    streaming: Adapter, simulator: Simulator, endpoint: str, fault: str
) -> None:
    """
    It was paid for, and nobody knows how it would have ended.
    """
    _arm(simulator, {"fault": fault, "method": "POST", "share": 0.6})
    reply, _ = stream(streaming, asked(endpoint), endpoint)

    assert isinstance(reply, Ambiguous)


def test_a_stream_has_a_deadline_of_its_own(streaming: Adapter, endpoint: str) -> None:
    """
    Pieces that keep coming do not extend it.
    """
    if endpoint == "embeddings":
        assert isinstance(stream(streaming, asked(endpoint), endpoint)[0], Direct)
        return
    started = time.monotonic()
    reply = streaming.stream(
        asked(endpoint, "[[sim:slow]]"), endpoint=endpoint, timeout_s=0.5, on_text=lambda _: None
    )

    assert isinstance(reply, Ambiguous)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("status", "expected"), [(429, NotTaken), (401, LaneClosed), (500, Ambiguous)]
)
def test_a_refusal_before_the_stream_is_that_of_any_call(
    streaming: Adapter, simulator: Simulator, endpoint: str, status: int, expected: type
) -> None:
    """
    Nothing has begun: the status says what is certain.
    """
    _arm(simulator, {"fault": "error_instead", "method": "POST", "status": status})
    reply, _ = stream(streaming, asked(endpoint), endpoint)

    assert isinstance(reply, expected)


@pytest.mark.parametrize("adapter", KINDS, ids=["anthropic", "openai"], indirect=True)
@pytest.mark.parametrize(("begun", "expected"), [(False, NotTaken), (True, Ambiguous)])
def test_an_overload_in_the_stream_is_definite_only_before_it_begins(
    adapter: Adapter,
    server: Server,
    begun: bool,  # noqa: FBT001 - a case
    expected: type,
) -> None:
    """
    Afterwards tokens may have been paid for.
    """
    first = _beginning(adapter.name)
    busy = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    events = [first[0], *(first[1:] if begun else []), busy]
    body = b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )
    server.answers(Reply(200, body, {"Content-Type": "text/event-stream"}))
    name = ENDPOINTS[adapter.name]

    reply, _ = stream(adapter, asked(name), name)

    assert isinstance(reply, expected)
    assert 1 == len(server.seen)


def _beginning(provider: str) -> list[dict[str, Any]]:
    """The first event, and the one with which an answer begins."""
    found: dict[str, list[dict[str, Any]]] = {
        "anthropic": [
            {"type": "message_start", "message": _message()},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            },
        ],
        "openai": [
            {"type": "response.created", "response": {"id": "r"}},
            {"type": "response.output_item.added", "item": {"id": "m"}, "output_index": 0},
        ],
    }
    return found[provider]


def _told(answered: Answered) -> Answered:
    """Without what differs from call to call."""
    return replace(answered, body=b"", request_id=None)


def _message() -> dict[str, Any]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "usage": usage,
    }


def _arm(simulator: Simulator, fault: dict[str, Any]) -> None:
    simulator.ask("/_faults", method="DELETE")
    simulator.anthropic.post("/_faults", cast_to=object, body=fault)
