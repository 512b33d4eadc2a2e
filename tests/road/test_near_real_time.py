"""The near-real-time tier from a caller of its own: full price, minutes, the same canvas."""

import json
from typing import Any

import pytest

from dev.stack import Stack
from tests.road.callers import Caller
from tests.road.conftest import books


@pytest.fixture(scope="module")
def booked_before(stack: Stack) -> dict[str, Any]:
    """What other direct calls cost, by provider."""
    found: dict[str, Any] = books(stack)["direct"]
    return found


@pytest.fixture(scope="module")
def soon(caller: Caller, booked_before: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - first
    """What the caller got, by provider and name."""
    process = caller.start("soon", "soon.py")
    assert 0 == process.wait(within_s=100), process.tail()
    found: dict[str, Any] = json.loads(process.tail().splitlines()[-1])
    return found


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_an_answer_says_its_tier_and_costs_the_full_price(
    soon: dict[str, Any], provider: str
) -> None:
    """
    The result is of the same shape as a batch's, without the discount.
    """
    value = soon[provider]["get"]["value"]
    per_token = {"anthropic": (1000, 5000), "openai": (250, 2000)}[provider]
    usage = value["usage"]

    assert ("near-real-time", "answered") == (value["tier"], value["outcome"])
    assert (
        usage["input_tokens"] * per_token[0] + usage["output_tokens"] * per_token[1]
        == value["cost_nano_usd"]
    )


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_bad_request_fails_with_the_providers_words(soon: dict[str, Any], provider: str) -> None:
    """
    The error is the client's own class.
    """
    assert {"raised": "RequestRejected", "code": "invalid_request_error"} == soon[provider][
        "failing"
    ]


def test_a_busy_provider_is_asked_again(soon: dict[str, Any]) -> None:
    """
    A definite "busy" is tried again and costs nothing; a cut-off call follows `on_lost=retry`.
    """
    for provider in ("anthropic", "openai"):
        assert "answered" == soon[provider]["busy once"]["value"]["outcome"]


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_chord_of_near_real_time_jobs_runs_its_body(soon: dict[str, Any], provider: str) -> None:
    """
    The caller's own body runs, as at the batch tier.
    """
    assert {"value": "body of soon"} == soon[provider]["chord"]


def test_the_books_agree(soon: dict[str, Any], booked_before: dict[str, Any], stack: Stack) -> None:
    """
    Every direct answer is billed once.
    """
    direct = books(stack)["direct"]

    # One single answer, one that was busy first, five parts of a chord.
    for provider in soon:
        assert 7 == direct[provider]["lines"] - booked_before[provider]["lines"]
