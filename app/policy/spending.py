"""What a job may cost at most, and what of a day's limit that leaves. Pure; nano-dollars throughout."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil
from typing import Any, Final
from uuid import UUID

from app.policy.outcomes import Usage
from app.policy.pricing import Overrides, price
from unhurried.contract import Tier

#: Writing the prompt to the one-hour cache is documented at twice the price of reading it in.
_INPUT_FACTOR: Final = 2
#: Sizes are rounded up to this many tokens, so that like requests are priced once.
_STEP: Final = 64
#: The longest answer of today's models: what a request without a limit of its own may get.
_OUTPUT_TOKENS_MAX: Final = 128_000
_OUTPUT_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
#: Nano-dollars for each dollar per million tokens.
_NANOS_PER_RATE: Final = 1000

#: Limits by (provider, account); an account that is not in it has none.
DailyLimits = Mapping[tuple[str, str], int]


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceRules:
    """Where prices come from that the list does not have."""

    overrides: Overrides = field(default_factory=dict)
    #: Dollars per million tokens (input, output) that no model exceeds.
    unknown: tuple[float, float] = (30.0, 180.0)


def ceiling(
    provider: str, model: str, request: Mapping[str, Any], *, input_tokens: int, rules: PriceRules
) -> int:
    """What one attempt of a request costs at most at the sync tier.

    `input_tokens` is an estimate on the safe side. Tools that the provider runs and bills by the use
    are not in it.
    """
    usage = Usage(
        input_tokens=_INPUT_FACTOR * _up(input_tokens), output_tokens=_output_tokens(request)
    )
    if f"{provider}/{model}" in rules.overrides:
        known = price(provider, model, usage, batch=False, overrides=rules.overrides)
    else:
        known = _listed(provider, model, usage)
    if known is not None:
        return known
    input_rate, output_rate = rules.unknown
    dollars = usage.input_tokens * input_rate + usage.output_tokens * output_rate
    return ceil(dollars * _NANOS_PER_RATE)


def at_tier(ceiling_nano_usd: int, tier: Tier) -> int:
    """The ceiling at a tier: a batch costs half."""
    return -(-ceiling_nano_usd // 2) if tier is Tier.BATCH else ceiling_nano_usd


def affordable(
    asked: Sequence[UUID], ceilings: Mapping[UUID, int], *, left_nano_usd: int, limit_nano_usd: int
) -> list[UUID]:
    """The first of the jobs asked for that may be reserved together; none out of turn, but for those that no
    day pays for: they hold nobody up."""
    found: list[UUID] = []
    for job_id in asked:
        if job_id not in ceilings or ceilings[job_id] > limit_nano_usd:
            continue
        left_nano_usd -= ceilings[job_id]
        if left_nano_usd < 0:
            break
        found.append(job_id)
    return found


def dollars(nano_usd: int) -> str:
    """An amount as people read it."""
    return f"${nano_usd / 1_000_000_000:,.2f}"


@lru_cache(maxsize=4096)
def _listed(provider: str, model: str, usage: Usage) -> int | None:
    return price(provider, model, usage, batch=False, overrides={})


def _up(tokens: int) -> int:
    return -(-max(tokens, 1) // _STEP) * _STEP


def _output_tokens(request: Mapping[str, Any]) -> int:
    """The most that may be answered; nothing where the endpoint answers with no tokens."""
    if "input" in request and "model" in request and str(request["model"]).startswith("text-emb"):
        return 0
    said = _whole_numbers(request.get(name) for name in _OUTPUT_LIMITS)
    choices = max([1, *_whole_numbers([request.get("n")])])
    return max(said, default=_OUTPUT_TOKENS_MAX) * choices


def _whole_numbers(values: Iterable[Any]) -> list[int]:
    return [value for value in values if type(value) is int and value > 0]
