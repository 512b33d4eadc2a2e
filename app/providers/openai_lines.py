"""OpenAI's result lines and Responses objects as outcomes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

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

_OK: Final = range(200, 300)
#: 403 may be about the model alone.
_REQUEST_FAULT_STATUSES: Final = frozenset({400, 403, 404, 413, 422})
#: The key and the money are no request's own.
_ACCOUNT_STATUSES: Final = frozenset({401, 402})
#: Causes that stay with the request when no HTTP status says so. Any other is worth another try:
#: lines of an expired batch were seen with nothing but "An error occurred".
_REQUEST_FAULTS: Final = frozenset(
    {
        "bio_policy",
        "content_policy_violation",
        "context_length_exceeded",
        "cyber_policy",
        "data_residency_mismatch",
        "invalid_prompt",
        "invalid_request",
        "invalid_request_error",
        "model_not_found",
        "unsupported_parameter",
        "unsupported_value",
    }
)
#: Calls of the caller's own tools, and where each says what with; the provider's run on its side.
_TOOL_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
_TRUNCATIONS: Final = frozenset({"max_output_tokens", "max_tokens"})


class Read(Protocol):
    """How an endpoint's response object becomes an outcome, or a text that says why it is none."""

    def __call__(self, value: Any, *, request_id: str | None) -> Outcome | str:
        """Translate one object."""
        ...


def record(fields: dict[str, Any], *, read: Read) -> Outcome | str:
    """The outcome of one line of an output or error file, or why it is none."""
    response = fields.get("response")
    if isinstance(response, dict):
        return _response(response, read)
    said = words(fields.get("error"))
    match said.cause:
        case None if said.message is None:
            return "neither a response nor an error"
        case "batch_expired":
            return Lapsed()
        case "batch_cancelled":
            return Cancelled()
        case _:
            return _failed(_kind(said, fault=bool(said.names & _REQUEST_FAULTS)), said, None)


def answer(value: Any, *, request_id: str | None) -> Outcome | str:
    """The outcome of a Responses object: HTTP 200 is not success, its `status` is."""
    fields = reading.fields(value)
    status = fields.get("status", "completed")
    if status in ("failed", "cancelled"):
        said = words(fields.get("error"))
        kind = _kind(said, fault=bool(said.names & _REQUEST_FAULTS) or _is_image_fault(said))
        named = said if said.cause else Words(code=str(status), message=said.message)
        billed = _usage(fields) if fields.get("usage") else None
        return _failed(kind, named, request_id, billed)
    if not isinstance(fields.get("output"), list):
        return "a response without output"
    items = [reading.fields(item) for item in reading.items(fields.get("output"))]
    parts = list(_parts(items))
    refusals = [part["refusal"] for part in parts if isinstance(part.get("refusal"), str)]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    return Answered(
        finish=_finish(status, fields, refused=bool(refusals)),
        output=storable("".join(texts or refusals)),
        usage=_usage(fields),
        model=reading.text(fields.get("model")) or "",
        request_id=request_id,
        body=encode(value),
        tool_calls=tuple(_tool_calls(items)),
    )


def _response(response: Mapping[str, Any], read: Read) -> Outcome | str:
    status = reading.count(response.get("status_code"))
    body = response.get("body")
    request_id = reading.text(response.get("request_id"), longest=200)
    if status in _OK:
        return read(body, request_id=request_id)
    said = words(reading.fields(body).get("error"))
    kind = _kind(said, fault=status in _REQUEST_FAULT_STATUSES)
    named = said if said.cause else Words(code=f"http_{status}", message=said.message)
    return _failed(Closed if status in _ACCOUNT_STATUSES else kind, named, request_id)


def _finish(status: Any, fields: Mapping[str, Any], *, refused: bool) -> Finish:
    if refused:
        return Finish.REFUSED
    if status == "completed":
        return Finish.ANSWERED
    reason = reading.text(reading.fields(fields.get("incomplete_details")).get("reason"))
    if reason in _TRUNCATIONS:
        return Finish.TRUNCATED
    return Finish.REFUSED if reason == "content_filter" else Finish.INCOMPLETE


def _tool_calls(items: Sequence[Mapping[str, Any]]) -> Iterator[ToolCall]:
    for item in items:
        arguments = _TOOL_CALLS.get(str(item.get("type")))
        if arguments is not None:
            yield ToolCall(
                id=reading.text(item.get("call_id")) or "",
                name=reading.text(item.get("name")) or "",
                arguments=storable(str(item.get(arguments) or "")),
            )


def _parts(items: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The text and refusal parts of every message in `output`, in order."""
    for item in items:
        if item.get("type") != "message":
            continue
        for part in map(reading.fields, reading.items(item.get("content"))):
            if part.get("type") in ("output_text", "refusal"):
                yield part


def _is_image_fault(said: Words) -> bool:
    """`invalid_image`, `image_too_large`, ...: a dozen codes for images that will not get better."""
    return "image" in (said.cause or "")


def _kind(said: Words, *, fault: bool) -> type[Rejected | Transient | Closed]:
    if is_the_accounts(said, blames_request=fault):
        return Closed
    return Rejected if fault else Transient


def _failed(
    kind: type[Rejected | Transient | Closed],
    said: Words,
    request_id: str | None,
    usage: Usage | None = None,
) -> Rejected | Transient | Closed:
    return kind(
        code=said.cause or "unknown_error",
        message=said.message or "the provider gave no reason",
        request_id=request_id,
        usage=usage,
    )


def _usage(fields: Mapping[str, Any]) -> Usage:
    """OpenAI's `input_tokens` includes the cached ones, as ours does. Empty where a count is none."""
    usage = reading.fields(fields.get("usage"))
    read = reading.fields(usage.get("input_tokens_details"))
    said = (usage.get("input_tokens"), usage.get("output_tokens"))
    if not reading.are_counts(*said, read.get("cached_tokens"), read.get("cache_write_tokens")):
        return Usage()
    written = reading.fields(usage.get("output_tokens_details"))
    calls = map(reading.fields, reading.items(fields.get("output")))
    return Usage(
        input_tokens=reading.count(usage.get("input_tokens")),
        output_tokens=reading.count(usage.get("output_tokens")),
        cache_read_tokens=reading.count(read.get("cached_tokens")),
        cache_write_tokens=reading.count(read.get("cache_write_tokens")),
        reasoning_tokens=reading.count(written.get("reasoning_tokens")),
        web_searches=sum(call.get("type") == "web_search_call" for call in calls),
        service_tier=reading.text(fields.get("service_tier"), longest=50),
    )
