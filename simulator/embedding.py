"""Embeddings requests: their inputs, what these count for, and what is refused of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_MODELS: Final = "text-embedding-"
#: OpenAI documents these for one request.
_INPUTS_MAX: Final = 2048
_INPUT_TOKENS_MAX: Final = 8192
_REQUEST_TOKENS_MAX: Final = 300_000
_BYTES_PER_TOKEN: Final = 4


def asks_for_vectors(params: Mapping[str, Any]) -> bool:
    """Whether a request is one for embeddings; its model tells."""
    return str(params.get("model", "")).startswith(_MODELS)


def inputs_of(params: Mapping[str, Any]) -> Sequence[Any]:
    """Each input, a text or a list of tokens."""
    given = params.get("input")
    if not isinstance(given, list):
        return [given]
    return [given] if given and isinstance(given[0], int) else given


def tokens_of(one: Any) -> int:
    """What an input counts for."""
    if isinstance(one, list):
        return len(one)
    return -(-len(str(one).encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def wrong_inputs(params: Mapping[str, Any]) -> str | None:
    """Why a request for embeddings is refused; None where it is none, or runs."""
    if not asks_for_vectors(params):
        return None
    inputs = inputs_of(params)
    if len(inputs) > _INPUTS_MAX:
        return f"'$.input' is invalid: at most {_INPUTS_MAX} inputs are allowed."
    counts = [tokens_of(one) for one in inputs]
    if max(counts) > _INPUT_TOKENS_MAX:
        return f"Invalid 'input': maximum context length is {_INPUT_TOKENS_MAX} tokens."
    if sum(counts) > _REQUEST_TOKENS_MAX:
        return f"Requested {sum(counts)} tokens, max {_REQUEST_TOKENS_MAX} tokens per request."
    return None
