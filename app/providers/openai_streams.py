"""OpenAI's streamed answers: a response comes whole in its last event, a chat completion in chunks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httpx2
import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent

from app.providers import openai_bodies, openai_lines, reading, streaming
from app.providers.port import Direct, DirectReply
from app.providers.streaming import OnText
from app.providers.strict_json import parse_object

_FAILURES: Final = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError)
_LAST: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


def answer(
    client: openai.OpenAI,
    request: bytes,
    *,
    endpoint: str,
    options: Any,
    timeout_s: float,
    on_text: OnText,
) -> DirectReply:
    """Stream one answer; the outcome is that of the same answer told at once."""
    told: _Response | _Completion = _Completion() if endpoint == "chat" else _Response()
    try:
        raw = client.post(
            told.path,
            cast_to=told.cast_to,
            content=streaming.with_stream(request, **told.asked),
            options=options,
            stream=True,
            stream_cls=told.stream_cls,
        )
        with raw, streaming.closed_after(raw, timeout_s):
            if not streaming.is_stream(raw.response):
                # A server that does not know the word: it has answered at once.
                told.fields, told.ended = parse_object(raw.response.read()), True
            for event in raw if not told.ended else ():
                if told.take(event.to_dict(mode="json")):
                    on_text(told.text)
            if not told.ended:
                return streaming.unfinished()
            request_id = raw.response.headers.get("x-request-id")
            outcome = told.read(told.fields, request_id=reading.text(request_id, longest=200))
    except (*_FAILURES, *streaming.MALFORMED) as error:
        return streaming.failed(error, begun=told.begun)
    return streaming.unfinished() if isinstance(outcome, str) else Direct(outcome=outcome)


@dataclass(slots=True)
class _Response:
    """A response that is being told."""

    path = "/responses"
    cast_to = cast("type[Any]", Response)
    stream_cls = cast("type[Any]", openai.Stream[ResponseStreamEvent])
    read = staticmethod(openai_lines.answer)
    asked: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    begun: bool = False
    ended: bool = False
    fields: dict[str, Any] = field(default_factory=dict)

    def take(self, event: Mapping[str, Any]) -> bool:
        """Whether the text has grown."""
        kind = event.get("type")
        if kind in _LAST:
            self.fields = dict(reading.fields(event.get("response")))
            self.ended = True
        self.begun = self.begun or kind == "response.output_item.added"
        piece = event.get("delta") if kind == "response.output_text.delta" else None
        self.text += piece if isinstance(piece, str) else ""
        return bool(piece)


@dataclass(slots=True)
class _Completion:
    """A chat completion that is being told, choice by choice."""

    path = "/chat/completions"
    cast_to = cast("type[Any]", ChatCompletion)
    stream_cls = cast("type[Any]", openai.Stream[ChatCompletionChunk])
    read = staticmethod(openai_bodies.chat)
    #: Without it nobody says what the answer cost.
    asked: Mapping[str, Any] = field(
        default_factory=lambda: {"stream_options": {"include_usage": True}}
    )
    text: str = ""
    begun: bool = False
    ended: bool = False
    fields: dict[str, Any] = field(default_factory=dict)
    _choices: dict[int, dict[str, Any]] = field(default_factory=dict)

    def take(self, event: Mapping[str, Any]) -> bool:
        """Whether the text has grown."""
        self.fields |= {name: value for name, value in event.items() if value is not None}
        before = len(self.text)
        for told in map(reading.fields, reading.items(event.get("choices"))):
            self.begun = True
            self._grow(reading.count(told.get("index")), told)
        self.fields |= {
            "object": "chat.completion",
            "choices": [self._choices[index] for index in sorted(self._choices)],
        }
        self.ended = bool(self._choices) and all(
            choice["finish_reason"] for choice in self._choices.values()
        )
        return len(self.text) > before

    def _grow(self, index: int, told: Mapping[str, Any]) -> None:
        fresh = {"index": index, "message": {"role": "assistant"}, "finish_reason": None}
        choice = self._choices.setdefault(index, fresh)
        choice["finish_reason"] = told.get("finish_reason") or choice["finish_reason"]
        delta = reading.fields(told.get("delta"))
        for name in ("content", "refusal"):
            if isinstance(delta.get(name), str):
                choice["message"][name] = (choice["message"].get(name) or "") + delta[name]
        if index == 0 and isinstance(delta.get("content"), str):
            self.text += delta["content"]
        for call in map(reading.fields, reading.items(delta.get("tool_calls"))):
            _grow_call(choice["message"].setdefault("tool_calls", []), call)


def _grow_call(calls: list[dict[str, Any]], told: Mapping[str, Any]) -> None:
    index = reading.count(told.get("index"))
    while len(calls) <= index:
        calls.append({"id": None, "type": "function", "function": {"name": "", "arguments": ""}})
    call, function = calls[index], reading.fields(told.get("function"))
    call["id"] = told.get("id") or call["id"]
    for name in ("name", "arguments"):
        if isinstance(function.get(name), str):
            call["function"][name] += function[name]
