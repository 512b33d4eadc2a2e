"""What one answer cost, in whole nano-dollars: a small line costs less than a micro-dollar.

Prices come from genai-prices' own bundled list; nothing is fetched. A price that nobody knows is None,
never 0.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

import genai_prices

from app.policy.outcomes import Usage

_NANOS_PER_DOLLAR: Final = Decimal(1_000_000_000)
#: Overrides are in dollars per million tokens, which is thousands of nano-dollars per token.
_NANOS_PER_TOKEN: Final = Decimal(1000)
_BATCH_SHARE: Final = Decimal("0.5")
#: Anthropic documents inference that must stay in the US at 1.1 times the price of every token.
_GEO_FACTORS: Final = {("anthropic", "us"): Decimal("1.1")}
#: Both providers bill these otherwise than standard; each name is also genai-prices' own.
_PRICED_TIERS: Final = frozenset({"flex", "priority", "fast"})

_EMBEDDINGS: Final = "text-embedding-"

#: `{"anthropic/some-model": (input, output)}` in dollars per million tokens, standard processing.
Overrides = Mapping[str, tuple[float, float]]


def price(
    provider: str, model: str, usage: Usage, *, batch: bool, overrides: Overrides
) -> int | None:
    """Nano-dollars for one line, rounded half to even; None where the price is not known.

    An override wins over the list; it knows two rates, so cached tokens count as input and searches
    as nothing.
    """
    if not usage.input_tokens:
        return None  # nothing is answered that was not asked: the provider left its usage out, or half of it
    rates = overrides.get(f"{provider}/{model}")
    if rates is not None:
        return _whole(_by_rates(rates, usage, batch=batch))
    listed = _listed(provider, model, usage, batch=batch)
    return None if listed is None else _whole(listed * _NANOS_PER_DOLLAR)


def _by_rates(rates: tuple[float, float], usage: Usage, *, batch: bool) -> Decimal:
    # By way of text: the binary fraction nearest to 0.15 is not what anybody typed.
    input_rate, output_rate = (Decimal(str(rate)) * _NANOS_PER_TOKEN for rate in rates)
    nanos = usage.input_tokens * input_rate + usage.output_tokens * output_rate
    return nanos * _BATCH_SHARE if batch else nanos


def _listed(provider: str, model: str, usage: Usage, *, batch: bool) -> Decimal | None:
    """Dollars by today's list; None where it lacks a price, or the counts contradict each other."""
    context = {"processing": "batch"} if batch else _context(usage)
    # OpenAI documents half the price for every batch; the list has no batch rate for embeddings.
    share = _BATCH_SHARE if batch and model.startswith(_EMBEDDINGS) else Decimal(1)

    def total(searches: int) -> Decimal:
        counted = _counts(usage, searches=searches)
        return genai_prices.calc_price(
            counted, model, provider_id=provider, price_context=context
        ).total_price

    try:
        tokens = total(0)
        searches = total(usage.web_searches) - tokens if usage.web_searches else Decimal(0)
    except (LookupError, ValueError):
        return None
    if usage.web_searches and not searches:
        return None
    geo = _GEO_FACTORS.get((provider, usage.inference_geo or ""), Decimal(1))
    return tokens * share * geo + searches


def _context(usage: Usage) -> dict[str, str] | None:
    tier = usage.service_tier
    return {"service_tier": tier} if tier in _PRICED_TIERS else None


def _counts(usage: Usage, *, searches: int) -> genai_prices.Usage:
    # Zeros are left out: a model without a price for what was not used still has a price.
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "web_searches": searches,
    }
    return genai_prices.Usage(**{name: value for name, value in counts.items() if value})


def _whole(nanos: Decimal) -> int:
    return int(nanos.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
