"""OpenAI's chat completions and embeddings, as the simulator answers them."""

import hashlib
import struct
from collections.abc import Callable
from typing import Any, Final

from simulator.clock import Clock
from simulator.fates import Finish, Said
from simulator.tools import chat_call

_DIMENSIONS: Final = 16
_FINISH_REASONS: Final = {
    Finish.STOP: "stop",
    Finish.REFUSAL: "stop",
    Finish.TRUNCATED: "length",
    Finish.PAUSE: "stop",
    # A word that nobody has documented yet: whoever reads it cannot call the answer whole.
    Finish.INCOMPLETE: "stopped_early",
    Finish.FAILED: "content_filter",
    Finish.TOOL: "tool_calls",
}


def chat_completion(
    said: Said, *, new_id: Callable[[str], str], clock: Clock, batch: bool
) -> dict[str, Any]:
    """A ChatCompletion of one choice."""
    refused = said.finish is Finish.REFUSAL
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refused else said.text,
        "refusal": said.text if refused else None,
        "annotations": [],
    }
    if said.tool is not None:
        message |= {"content": None, "tool_calls": [chat_call(said.tool, new_id("call"))]}
    choice = {"index": 0, "message": message, "logprobs": None}
    return {
        "id": new_id("chatcmpl"),
        "object": "chat.completion",
        "created": int(clock.now()),
        "model": said.model,
        "choices": [{**choice, "finish_reason": _FINISH_REASONS[said.finish]}],
        "service_tier": "batch" if batch else "default",
        "usage": {
            "prompt_tokens": said.tokens.input,
            "completion_tokens": said.tokens.output,
            "total_tokens": said.tokens.input + said.tokens.output,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "simulated": True,
    }


def embeddings(said: Said) -> dict[str, Any]:
    """One short vector for each input: the same text always gives the same one."""
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _vector(text)}
            for index, text in enumerate(said.inputs)
        ],
        "model": said.model,
        "usage": {"prompt_tokens": said.tokens.input, "total_tokens": said.tokens.input},
        "simulated": True,
    }


def _vector(text: str) -> list[float]:
    digest = hashlib.sha512(text.encode()).digest()[: _DIMENSIONS * 4]
    numbers = struct.unpack(f"<{_DIMENSIONS}i", digest)
    return [number / 2**31 for number in numbers]
