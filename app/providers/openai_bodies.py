"""Chat completions and embeddings of the OpenAI wire as outcomes; also from compatible servers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from app.policy.outcomes import Answered, Finish, Outcome, ToolCall, Usage
from app.providers import reading
from app.providers.strict_json import encode, storable

_FINISHES: Final = {
    "stop": Finish.ANSWERED,
    # Words of servers that speak this wire: Text Generation Inference, Mistral.
    "eos_token": Finish.ANSWERED,
    "stop_sequence": Finish.ANSWERED,
    "model_length": Finish.TRUNCATED,
    "tool_calls": Finish.ANSWERED,
    "function_call": Finish.ANSWERED,
    "length": Finish.TRUNCATED,
    "content_filter": Finish.REFUSED,
}


def chat(value: Any, *, request_id: str | None) -> Outcome | str:
    """The outcome of a ChatCompletion: its first choice speaks. A text says why it is none."""
    fields = reading.fields(value)
    choices = [reading.fields(one) for one in reading.items(fields.get("choices"))]
    if not choices:
        return "a chat completion without choices"
    message = reading.fields(choices[0].get("message"))
    refusal = message.get("refusal")
    content = message.get("content")
    said = content if isinstance(content, str) else _joined(content)
    finish = _FINISHES.get(str(choices[0].get("finish_reason")), Finish.INCOMPLETE)
    if isinstance(refusal, str) and refusal:
        said, finish = refusal, Finish.REFUSED
    answered = _answered(fields, said, finish, request_id, _chat_usage(fields))
    return replace(answered, tool_calls=tuple(_tool_calls(message)))


def embeddings(value: Any, *, request_id: str | None) -> Outcome | str:
    """The outcome of an embeddings list: its output is the vectors as JSON, in the inputs' order."""
    fields = reading.fields(value)
    data = [reading.fields(one) for one in reading.items(fields.get("data"))]
    if not data or any("embedding" not in one for one in data):
        return "an embeddings list without embeddings"
    ordered = sorted(data, key=lambda one: reading.count(one.get("index")))
    vectors = encode([one["embedding"] for one in ordered]).decode()
    usage = reading.fields(fields.get("usage"))
    tokens = Usage(input_tokens=reading.count(usage.get("prompt_tokens")))
    return _answered(fields, vectors, Finish.ANSWERED, request_id, tokens)


def _tool_calls(message: Mapping[str, Any]) -> Iterator[ToolCall]:
    """Calls of tools, and the one of a function as older models make it."""
    calls = [reading.fields(call) for call in reading.items(message.get("tool_calls"))]
    if isinstance(message.get("function_call"), dict):
        calls.append({"function": message["function_call"]})
    for call in calls:
        told = reading.fields(call.get("function") or call.get("custom"))
        yield ToolCall(
            id=reading.text(call.get("id")) or "",
            name=reading.text(told.get("name")) or "",
            arguments=storable(str(told.get("arguments") or told.get("input") or "")),
        )


def _joined(content: Any) -> str:
    """The texts of a content in parts, as some servers answer."""
    parts = map(reading.fields, reading.items(content))
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _answered(
    fields: Mapping[str, Any], output: str, finish: Finish, request_id: str | None, usage: Usage
) -> Answered:
    return Answered(
        finish=finish,
        output=storable(output),
        usage=usage,
        model=reading.text(fields.get("model")) or "",
        request_id=request_id,
        body=encode(dict(fields)),
    )


def _chat_usage(fields: Mapping[str, Any]) -> Usage:
    """Empty where a count is none."""
    usage = reading.fields(fields.get("usage"))
    read = reading.fields(usage.get("prompt_tokens_details"))
    said = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    if not reading.are_counts(*said, read.get("cached_tokens"), read.get("cache_write_tokens")):
        return Usage()
    written = reading.fields(usage.get("completion_tokens_details"))
    return Usage(
        input_tokens=reading.count(usage.get("prompt_tokens")),
        output_tokens=reading.count(usage.get("completion_tokens")),
        cache_read_tokens=reading.count(read.get("cached_tokens")),
        cache_write_tokens=reading.count(read.get("cache_write_tokens")),
        reasoning_tokens=reading.count(written.get("reasoning_tokens")),
        service_tier=reading.text(fields.get("service_tier"), longest=50),
    )
