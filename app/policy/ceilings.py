"""How many prompt tokens of a model may be enqueued, once the provider has said that it were too many. Pure.

OpenAI's limit is the account's and nobody tells it: a batch over it is refused in validation, whole. Halved
at each such refusal and raised by a quarter with each batch that went through, the ceiling finds it.
"""

from dataclasses import dataclass
from typing import Final

#: Our count and the provider's differ by any factor, so a ceiling may have to fall to nearly nothing; a
#: single job goes under any.
_LEAST_TOKENS: Final = 1


@dataclass(frozen=True, slots=True)
class Room:
    """The ceiling of one model of an account, and how many tokens are enqueued there now."""

    tokens_max: int
    enqueued_tokens: int

    def takes(self, tokens: int) -> bool:
        """Whether a pack of so many fits; the first may be of any size, or it would never go."""
        return not self.enqueued_tokens or self.enqueued_tokens + tokens <= self.tokens_max

    def with_more(self, tokens: int) -> "Room":
        """The room once a pack of so many is enqueued."""
        return Room(self.tokens_max, self.enqueued_tokens + tokens)


def lowered(tokens_max: int | None, *, enqueued_tokens: int) -> int:
    """The ceiling after a refusal, with so many enqueued (the refused ones included)."""
    most = enqueued_tokens if tokens_max is None else min(tokens_max, enqueued_tokens)
    return max(most // 2, _LEAST_TOKENS)


def raised(tokens_max: int) -> int:
    """The ceiling after a batch that went through."""
    return tokens_max + max(tokens_max // 4, 1)
