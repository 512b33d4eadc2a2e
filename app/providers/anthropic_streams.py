"""Anthropic's streamed messages, put together by Anthropic's SDK."""

from typing import Any, Final, cast

import anthropic
import httpx2
from anthropic.lib.streaming import MessageStream
from anthropic.types import Message, RawMessageStreamEvent

from app.providers import anthropic_lines, streaming
from app.providers.port import Direct, DirectReply
from app.providers.streaming import OnText

_FAILURES: Final = (anthropic.AnthropicError, httpx2.HTTPError, httpx2.StreamError)


def answer(
    client: anthropic.Anthropic,
    request: bytes,
    *,
    options: Any,
    timeout_s: float,
    on_text: OnText,
) -> DirectReply:
    """Stream one message; the outcome is that of the same message told at once."""
    begun = False
    try:
        # The SDK's own way to ask for a stream; its types describe only its generated methods.
        raw = client.post(
            "/v1/messages",
            cast_to=cast("type[Any]", Message),
            content=streaming.with_stream(request),
            options=options,
            stream=True,
            stream_cls=anthropic.Stream[RawMessageStreamEvent],
        )
        ended = False
        with (
            MessageStream(raw, output_format=anthropic.NOT_GIVEN) as stream,
            streaming.closed_after(stream, timeout_s),
        ):
            for event in stream:
                begun = begun or event.type == "content_block_start"
                ended = event.type == "message_stop"
                if event.type == "text":
                    on_text(event.snapshot)
            if not ended:
                return streaming.unfinished()
            fields = _fields(stream)
            outcome = anthropic_lines.message(fields, request_id=stream.request_id)
    except (*_FAILURES, *streaming.MALFORMED) as error:
        return streaming.failed(error, begun=begun)
    return streaming.unfinished() if isinstance(outcome, str) else Direct(outcome=outcome)


def _fields(stream: "MessageStream[Any]") -> dict[str, Any]:
    """The message as its provider would have told it at once."""
    fields = dict(stream.current_message_snapshot.to_dict(mode="json"))
    for block in cast("list[dict[str, Any]]", fields.get("content") or []):
        block.pop("parsed_output", None)
    return fields
