"""What one embeddings request may hold. Pure.

The figures are OpenAI's, documented for its models; a server that speaks its wire may serve others.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

INPUTS_MAX: Final = 2048
_INPUT_TOKENS_MAX: Final = 8192
_REQUEST_TOKENS_MAX: Final = 300_000
_MODELS: Final = "text-embedding-"
#: Prose runs at four to five bytes a token. A call is refused only where it is surely too long; what
#: lies in between, the provider refuses.
_BYTES_PER_TOKEN: Final = 5


class TooMuchError(ValueError):
    """More than one request may hold; says what, and what to do."""


def inputs_count(request: Mapping[str, Any]) -> int:
    """How many inputs a request counts for: batches are limited by these, not by lines."""
    return len(_inputs(request.get("input")))


def require_within_limits(request: Mapping[str, Any]) -> None:
    """Raise TooMuchError where a request is refused by its provider for what it holds."""
    inputs = _inputs(request.get("input"))
    if len(inputs) > INPUTS_MAX:
        raise TooMuchError(
            f"input holds {len(inputs):,} texts; at most {INPUTS_MAX:,} are taken at once: spread "
            "them over several calls"
        )
    if not str(request.get("model")).startswith(_MODELS):
        return
    total = 0
    for index, one in enumerate(inputs):
        tokens = _tokens(one)
        if tokens > _INPUT_TOKENS_MAX:
            raise TooMuchError(
                f"input[{index}] holds some {tokens:,} tokens; at most {_INPUT_TOKENS_MAX:,} are taken: "
                "split it with unhurried.pieces(text)"
            )
        total += tokens
    if total > _REQUEST_TOKENS_MAX:
        raise TooMuchError(
            f"input holds some {total:,} tokens in all; at most {_REQUEST_TOKENS_MAX:,} are taken at "
            "once: spread them over several calls"
        )


def _inputs(given: Any) -> Sequence[Any]:
    """Each input: a text, or a text as a list of tokens."""
    if not isinstance(given, list):
        return [given]
    return [given] if given and isinstance(given[0], int) else given


def _tokens(one: Any) -> int:
    if isinstance(one, list):
        return len(one)
    return len(str(one).encode("utf-8", "replace")) // _BYTES_PER_TOKEN
