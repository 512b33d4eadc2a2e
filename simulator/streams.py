"""Server-sent events: a whole answer, told bit by bit as its provider would tell it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from starlette.responses import StreamingResponse

from simulator.fates import Said

#: Words of one event, and simulated seconds between two of them.
_WORDS: Final = 3
_PACE_S: Final = 0.5
#: Real seconds between two events of an answer that was asked to come slowly.
_SLOW_S: Final = 0.15


def stream(events: Iterator[bytes], said: Said, *, speed: float) -> StreamingResponse:
    """A reply that lasts. What it costs is in the books before its first byte leaves."""
    pause_s = _SLOW_S if said.slow else _PACE_S / speed

    async def paced() -> AsyncIterator[bytes]:
        for event in events:
            yield event
            await asyncio.sleep(pause_s)

    return StreamingResponse(paced(), media_type="text/event-stream")


def message_events(message: Mapping[str, Any]) -> Iterator[bytes]:
    """Anthropic's: each named, with its name repeated as `type`."""
    (block,) = message["content"]
    usage = {**message["usage"], "output_tokens": 1}
    start = {**message, "content": [], "stop_reason": None, "usage": usage}
    yield _named({"type": "message_start", "message": start})
    is_call = block["type"] == "tool_use"
    empty = {**block, "input": {}} if is_call else {**block, "text": ""}
    yield _named({"type": "content_block_start", "index": 0, "content_block": empty})
    yield _named({"type": "ping"})
    for piece in _pieces(json.dumps(block["input"]) if is_call else block["text"]):
        text = {"type": "text_delta", "text": piece}
        delta = {"type": "input_json_delta", "partial_json": piece} if is_call else text
        yield _named({"type": "content_block_delta", "index": 0, "delta": delta})
    yield _named({"type": "content_block_stop", "index": 0})
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    told = {"output_tokens": message["usage"]["output_tokens"]}
    yield _named({"type": "message_delta", "delta": end, "usage": told})
    yield _named({"type": "message_stop"})


def response_events(response: Mapping[str, Any]) -> Iterator[bytes]:
    """OpenAI Responses': numbered, the whole response in the first and in the last."""
    begun = {**response, "status": "in_progress", "output": [], "usage": None, "error": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(response["output"]):
        events += _call_events(index, item) if "arguments" in item else _item_events(index, item)
    events.append({"type": f"response.{response['status']}", "response": response})
    for number, event in enumerate(events):
        yield _named({**event, "sequence_number": number})


def _item_events(index: int, item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    (part,) = item["content"]
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    refused = part["type"] == "refusal"
    field, kind = ("refusal", "refusal") if refused else ("text", "output_text")
    empty = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": index, "item": empty}
    yield {"type": "response.content_part.added", **place, "part": {**part, field: ""}}
    for piece in _pieces(part[field]):
        yield {"type": f"response.{kind}.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": f"response.{kind}.done", **place, field: part[field], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _call_events(index: int, item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    place = {"item_id": item["id"], "output_index": index}
    empty = {**item, "status": "in_progress", "arguments": ""}
    kind, arguments = "response.function_call_arguments", item["arguments"]
    yield {"type": "response.output_item.added", "output_index": index, "item": empty}
    for piece in _pieces(arguments):
        yield {"type": f"{kind}.delta", **place, "delta": piece}
    yield {"type": f"{kind}.done", **place, "name": item["name"], "arguments": arguments}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def chunk_events(completion: Mapping[str, Any], *, usage: bool) -> Iterator[bytes]:
    """OpenAI Chat's: unnamed chunks, the usage in a last one where it was asked for, `[DONE]`."""
    (choice,) = completion["choices"]
    kept = ("id", "created", "model", "service_tier", "simulated")
    base = {name: completion[name] for name in kept} | {"object": "chat.completion.chunk"}
    message = choice["message"]
    calls = message.get("tool_calls") or []
    field = "refusal" if message["content"] is None and not calls else "content"

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        told = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data({**base, "choices": [told], "usage": None})

    yield chunk({"role": "assistant", field: None if calls else ""})
    for index, call in enumerate(calls):
        named = {**call["function"], "arguments": ""}
        yield chunk({"tool_calls": [{**call, "index": index, "function": named}]})
        for piece in _pieces(call["function"]["arguments"]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    for piece in _pieces(message[field] or "") if not calls else ():
        yield chunk({field: piece})
    yield chunk({}, choice["finish_reason"])
    if usage:
        yield _data({**base, "choices": [], "usage": completion["usage"]})
    yield b"data: [DONE]\n\n"


def _pieces(text: str) -> Iterator[str]:
    """A few words at a time; together exactly the text."""
    words = text.split(" ")
    for start in range(0, len(words), _WORDS):
        piece = " ".join(words[start : start + _WORDS])
        yield piece if start + _WORDS >= len(words) else piece + " "


def _named(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\n".encode() + _data(event)


def _data(event: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"
