"""Anthropic's result records and messages as outcomes."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from app.policy.outcomes import (
    Answered,
    Cancelled,
    Closed,
    Finish,
    Lapsed,
    Outcome,
    Rejected,
    ToolCall,
    Transient,
    Usage,
)
from app.providers import reading
from app.providers.replies import Words, is_the_accounts, words
from app.providers.strict_json import encode, storable

#: Anthropic documents that a line which errored with another type "can be retried directly".
_REQUEST_FAULTS: Final = frozenset(
    {"invalid_request_error", "not_found_error", "permission_error", "request_too_large"}
)

#: What a line is billed by.
_PRICED: Final = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)

_FINISHES: Final = {
    "end_turn": Finish.ANSWERED,
    "stop_sequence": Finish.ANSWERED,
    "tool_use": Finish.ANSWERED,
    "max_tokens": Finish.TRUNCATED,
    "model_context_window_exceeded": Finish.TRUNCATED,
    "pause_turn": Finish.PAUSED,
    "refusal": Finish.REFUSED,
}


def record(fields: dict[str, Any]) -> Outcome | str:
    """The outcome of one record of a results file, or why it is none.

    Compared by the `type` text: a type we do not know is nobody's answer.
    """
    result = reading.fields(fields.get("result"))
    match result.get("type"):
        case "succeeded":
            return message(result.get("message"), request_id=None)
        case "errored":
            return _errored(result.get("error"))
        case "expired":
            return Lapsed()
        case "canceled":
            return Cancelled()
        case other:
            return f"unknown result type {reading.text(other, longest=100)!r}"


def message(value: Any, *, request_id: str | None) -> Answered | str:
    """The outcome of a Message object, or why it is none."""
    fields = reading.fields(value)
    content = fields.get("content")
    if not isinstance(content, list):
        return "a message without content"
    texts = [
        block["text"]
        for block in map(reading.fields, content)
        if block.get("type") == "text" and isinstance(block.get("text"), str)
    ]
    return Answered(
        finish=_FINISHES.get(str(fields.get("stop_reason")), Finish.INCOMPLETE),
        output=storable("".join(texts)),
        usage=_usage(reading.fields(fields.get("usage"))),
        model=reading.text(fields.get("model")) or "",
        request_id=request_id,
        body=encode(value),
        tool_calls=tuple(_tool_calls(content)),
    )


def _tool_calls(content: Sequence[Any]) -> Iterator[ToolCall]:
    """Calls of the caller's tools; the provider's own run on its side."""
    for block in map(reading.fields, content):
        if block.get("type") == "tool_use":
            yield ToolCall(
                id=reading.text(block.get("id")) or "",
                name=reading.text(block.get("name")) or "",
                arguments=storable(encode(block.get("input")).decode()),
            )


def _errored(error: Any) -> Rejected | Transient | Closed:
    envelope = reading.fields(error)
    # The envelope is an error object that holds the error object.
    nested = envelope.get("error")
    said = words(nested if isinstance(nested, dict) else envelope)
    request_id = reading.text(envelope.get("request_id"), longest=200)
    return _kind(said)(
        code=said.cause or "unknown_error",
        message=said.message or "the provider gave no reason",
        request_id=request_id,
    )


def _kind(said: Words) -> type[Rejected | Transient | Closed]:
    """A `permission_error` may be about the model alone, and is the account's only where it says so."""
    fault = bool(said.names & _REQUEST_FAULTS)
    if is_the_accounts(said, blames_request=fault):
        return Closed
    return Rejected if fault else Transient


def _usage(usage: Any) -> Usage:
    """Anthropic counts cached tokens beside `input_tokens`; ours includes them. Empty where a count is none."""
    by_lifetime = reading.fields(usage.get("cache_creation"))
    for_an_hour = by_lifetime.get("ephemeral_1h_input_tokens")
    if not reading.are_counts(*(usage.get(name) for name in _PRICED), for_an_hour):
        return Usage()
    written = reading.count(usage.get("cache_creation_input_tokens"))
    read = reading.count(usage.get("cache_read_input_tokens"))
    details = reading.fields(usage.get("output_tokens_details"))
    searched = reading.fields(usage.get("server_tool_use"))
    return Usage(
        input_tokens=reading.count(usage.get("input_tokens")) + written + read,
        output_tokens=reading.count(usage.get("output_tokens")),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(reading.count(for_an_hour), written),
        reasoning_tokens=reading.count(details.get("thinking_tokens")),
        web_searches=reading.count(searched.get("web_search_requests")),
        service_tier=reading.text(usage.get("service_tier"), longest=50),
        inference_geo=reading.text(usage.get("inference_geo"), longest=50),
    )
