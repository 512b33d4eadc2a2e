"""What the simulated providers charge: their own table, kept apart from the service's price list."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

_NANO_USD_PER_USD_PER_MILLION: Final = Decimal(1000)
_NANO_USD_PER_MICRO_USD: Final = 1000
_BATCH_SHARE: Final = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Rate:
    """US dollars per million tokens."""

    input: Decimal
    output: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """A model's standard price; a batch costs half of it."""

    rate: Rate
    #: A prompt of more than `long_over` tokens is billed at `long`, all of its tokens.
    long_over: int | None = None
    long: Rate | None = None

    def of(self, input_tokens: int) -> Rate:
        """The rate for a prompt of this size."""
        if self.long is not None and self.long_over is not None and input_tokens > self.long_over:
            return self.long
        return self.rate


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one line is billed for."""

    input: int
    output: int


def _rate(price_in: str, price_out: str) -> Rate:
    return Rate(Decimal(price_in), Decimal(price_out))


TABLE: Final[dict[str, dict[str, Price]]] = {
    "anthropic": {
        "claude-haiku-4-5": Price(_rate("1", "5")),
        "claude-haiku-5-5": Price(_rate("0.1", "0.5"), 100_000, _rate("0.5", "2.5")),
        "claude-sonnet-5-5": Price(_rate("2", "10")),
        "claude-opus-5-5": Price(_rate("4", "20")),
    },
    "openai": {
        "gpt-5-mini": Price(_rate("0.25", "2")),
        "gpt-5-nano": Price(_rate("0.05", "0.4")),
        "gpt-5.4-mini": Price(_rate("0.75", "4.5")),
        "gpt-6-luna": Price(_rate("0.1", "0.5"), 272_000, _rate("0.2", "0.75")),
        "gpt-4o-mini": Price(_rate("0.15", "0.6")),
        "gpt-4.1-mini": Price(_rate("0.4", "1.6")),
        "text-embedding-3-small": Price(_rate("0.02", "0")),
    },
}


def nano_usd(price: Price, tokens: Tokens, *, batch: bool) -> int:
    """One line's price in nano-dollars, rounded half to even."""
    rate = price.of(tokens.input)
    usd = (tokens.input * rate.input + tokens.output * rate.output) * _NANO_USD_PER_USD_PER_MILLION
    if batch:
        usd *= _BATCH_SHARE
    return int(usd.quantize(Decimal(1), ROUND_HALF_EVEN))


def micro_usd(nanos: int) -> int:
    """A sum in micro-dollars, rounded half to even at the very end."""
    return int((Decimal(nanos) / _NANO_USD_PER_MICRO_USD).quantize(Decimal(1), ROUND_HALF_EVEN))
