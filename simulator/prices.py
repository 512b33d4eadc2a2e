"""What the simulated providers charge: their own table, kept apart from the service's price list."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

#: US dollars per million tokens, input and output, at the standard tier; batch is half of it.
TABLE: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "anthropic": {
        "claude-haiku-4-5": ("1", "5"),
        "claude-sonnet-5-5": ("2", "10"),
        "claude-opus-5-5": ("4", "20"),
    },
    "openai": {
        "gpt-5-mini": ("0.25", "2"),
        "gpt-5-nano": ("0.05", "0.4"),
        "gpt-4o-mini": ("0.15", "0.6"),
        "gpt-4.1-mini": ("0.4", "1.6"),
        "text-embedding-3-small": ("0.02", "0"),
    },
}

_NANO_USD_PER_USD_PER_MILLION: Final = Decimal(1000)
_BATCH_SHARE: Final = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one line is billed for."""

    input: int
    output: int


def nano_usd(provider: str, model: str, tokens: Tokens, *, batch: bool) -> int:
    """One line's price in nano-dollars, rounded half to even. The model must be in the table."""
    price_in, price_out = TABLE[provider][model]
    sum_ = tokens.input * Decimal(price_in) + tokens.output * Decimal(price_out)
    sum_ *= _NANO_USD_PER_USD_PER_MILLION
    if batch:
        sum_ *= _BATCH_SHARE
    return int(sum_.quantize(Decimal(1), ROUND_HALF_EVEN))


def micro_usd(nanos: int) -> int:
    """A sum in micro-dollars, rounded half to even at the very end."""
    return int((Decimal(nanos) / 1000).quantize(Decimal(1), ROUND_HALF_EVEN))
