"""What a job may cost at most, and which jobs a day's limit still pays for."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.policy.outcomes import Usage
from app.policy.pricing import price
from app.policy.spending import PriceRules, affordable, at_tier, ceiling
from unhurried.contract import Tier

RULES = PriceRules()
AMOUNTS = st.integers(0, 10**12)


@given(
    model=st.sampled_from([("anthropic", "claude-haiku-4-5"), ("openai", "gpt-5-mini")]),
    input_tokens=st.integers(1, 100_000),
    output_tokens=st.integers(1, 8192),
    tier=st.sampled_from(Tier),
)
def test_no_answer_within_its_limits_costs_more_than_the_ceiling(
    model: tuple[str, str], input_tokens: int, output_tokens: int, tier: Tier
) -> None:
    """
    A request priced at its estimate and its own token limit stays below its ceiling at every tier.
    """
    provider, name = model
    request = {"model": name, "max_tokens": output_tokens}
    most = ceiling(provider, name, request, input_tokens=input_tokens, rules=RULES)
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)

    cost = price(provider, name, usage, batch=tier is Tier.BATCH, overrides={})

    assert cost is not None
    assert cost <= at_tier(most, tier)


def test_an_unknown_price_is_reserved_at_the_highest() -> None:
    """
    64 prompt tokens, taken twice, and 100 of an answer at 30 and 180 dollars a million.
    """
    most = ceiling("openai", "unheard-of", {"max_tokens": 100}, input_tokens=1, rules=RULES)

    assert 128 * 30_000 + 100 * 180_000 == most


def test_a_request_without_a_limit_may_get_the_longest_answer() -> None:
    """
    128,000 tokens for each of the choices that it asks for.
    """
    most = ceiling("openai", "unheard-of", {"n": 2}, input_tokens=1, rules=RULES)

    assert 128 * 30_000 + 256_000 * 180_000 == most


@given(st.lists(AMOUNTS, max_size=30), AMOUNTS)
def test_what_is_afforded_fits_and_the_next_would_not(amounts: list[int], left: int) -> None:
    """
    Jobs go in their order, as many as fit together; the first that stays would not have fitted.
    """
    ids = [UUID(int=number) for number in range(len(amounts))]
    ceilings = dict(zip(ids, amounts, strict=True))

    found = affordable(ids, ceilings, left_nano_usd=left, limit_nano_usd=10**18)

    assert ids[: len(found)] == found
    assert sum(ceilings[one] for one in found) <= left
    if len(found) < len(ids):
        assert sum(amounts[: len(found) + 1]) > left


def test_a_job_that_no_day_pays_for_holds_nobody_up() -> None:
    """
    It stays; the others go in their order.
    """
    first, dear, last = (UUID(int=number) for number in range(3))
    ceilings = {first: 1, dear: 100, last: 2}

    found = affordable([first, dear, last], ceilings, left_nano_usd=50, limit_nano_usd=99)

    assert [first, last] == found
