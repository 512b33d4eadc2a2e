"""Money is whole nano-dollars from a price list, and an unknown price is None."""

import pytest

from app.policy.outcomes import Usage
from app.policy.pricing import price

MILLION = 1_000_000


def test_a_batch_costs_half_of_the_standard_price() -> None:
    """Opus 4.8 lists 5 and 25 dollars per million tokens; a batch costs half."""
    usage = Usage(input_tokens=1000, output_tokens=100)
    assert price("anthropic", "claude-opus-4-8", usage, batch=False, overrides={}) == 7_500_000
    assert price("anthropic", "claude-opus-4-8", usage, batch=True, overrides={}) == 3_750_000


@pytest.mark.parametrize(
    ("usage", "nanos"),
    [
        (Usage(input_tokens=MILLION, cache_read_tokens=MILLION), 250_000_000),
        (Usage(input_tokens=MILLION, cache_write_tokens=MILLION), 3_125_000_000),
        (
            Usage(input_tokens=MILLION, cache_write_tokens=MILLION, cache_write_1h_tokens=MILLION),
            5_000_000_000,
        ),
        (
            Usage(
                input_tokens=3 * MILLION,
                cache_read_tokens=MILLION,
                cache_write_tokens=2 * MILLION,
                cache_write_1h_tokens=MILLION,
            ),
            8_375_000_000,
        ),
    ],
)
def test_cached_tokens_have_prices_of_their_own(usage: Usage, nanos: int) -> None:
    """Half of 0.1, 1.25 and 2 times 5 dollars: read, written for minutes, written for an hour."""
    assert price("anthropic", "claude-opus-4-8", usage, batch=True, overrides={}) == nanos


def test_an_answer_to_nothing_has_no_price() -> None:
    """The provider has left half of its usage out: what is there is not what it billed."""
    assert (
        price("anthropic", "claude-opus-4-8", Usage(output_tokens=9), batch=True, overrides={})
        is None
    )
    overrides = {"openai/own": (1.0, 2.0)}
    assert price("openai", "own", Usage(output_tokens=9), batch=True, overrides=overrides) is None


def test_searches_are_billed_each_without_a_discount() -> None:
    """Ten dollars a thousand, in a batch as well."""
    tokens = Usage(input_tokens=1000, output_tokens=100)
    searched = Usage(input_tokens=1000, output_tokens=100, web_searches=2)
    prices = [
        price("anthropic", "claude-opus-4-8", usage, batch=True, overrides={})
        for usage in (tokens, searched)
    ]
    assert prices == [3_750_000, 23_750_000]


def test_inference_kept_in_the_us_costs_a_tenth_more_per_token() -> None:
    """The factor is on tokens, not on searches."""
    usage = Usage(input_tokens=1000, output_tokens=100, web_searches=2, inference_geo="us")
    assert price("anthropic", "claude-opus-4-8", usage, batch=True, overrides={}) == 24_125_000


def test_openai_input_includes_its_cached_part() -> None:
    """Half of 0.25 and 0.025 dollars per million for the two halves of the prompt."""
    usage = Usage(input_tokens=1000, cache_read_tokens=500, output_tokens=100)
    assert price("openai", "gpt-5-mini", usage, batch=True, overrides={}) == 168_750


def test_a_direct_call_is_priced_by_the_tier_that_was_billed() -> None:
    """Flex costs half although no batch was made; other tiers' names are standard."""
    prices = [
        price(
            "openai",
            "gpt-5-mini",
            Usage(input_tokens=1000, output_tokens=100, service_tier=tier),
            batch=False,
            overrides={},
        )
        for tier in ("flex", "default", None)
    ]
    assert prices == [225_000, 450_000, 450_000]


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("anthropic", "claude-of-tomorrow", Usage(input_tokens=1, output_tokens=1)),
        ("nobody", "claude-opus-4-8", Usage(input_tokens=1, output_tokens=1)),
        ("anthropic", "claude-opus-4-8", Usage()),
        ("anthropic", "claude-opus-4-8", Usage(input_tokens=10, cache_read_tokens=20)),
        ("openai", "gpt-oss-20b", Usage(input_tokens=10, output_tokens=1, web_searches=1)),
    ],
)
def test_a_price_that_nobody_knows_is_none(provider: str, model: str, usage: Usage) -> None:
    """An unknown model, a missing usage and contradicting counts are unknown, not free."""
    assert price(provider, model, usage, batch=True, overrides={}) is None


def test_an_override_wins_and_is_exact() -> None:
    """0.15 dollars per million is exact in decimal, halved in a batch, rounded half to even."""
    overrides = {"openai/gpt-of-tomorrow": (0.15, 1.0), "openai/gpt-5-mini": (1.0, 2.0)}
    odd = Usage(input_tokens=1001, output_tokens=100)
    tiny = {"x/y": (0.001, 0.0)}
    prices = [
        price("openai", "gpt-of-tomorrow", odd, batch=False, overrides=overrides),
        price("openai", "gpt-of-tomorrow", odd, batch=True, overrides=overrides),
        price("openai", "gpt-5-mini", odd, batch=False, overrides=overrides),
        price("x", "y", Usage(input_tokens=1), batch=True, overrides=tiny),
        price("x", "y", Usage(input_tokens=3), batch=True, overrides=tiny),
    ]
    assert prices == [250_150, 125_075, 1_201_000, 0, 2]


def test_embeddings_cost_half_in_a_batch_though_the_list_has_no_batch_rate() -> None:
    """A million tokens of text-embedding-3-small list two cents."""
    usage = Usage(input_tokens=MILLION)
    prices = [
        price("openai", "text-embedding-3-small", usage, batch=batch, overrides={})
        for batch in (False, True)
    ]
    assert prices == [20_000_000, 10_000_000]
