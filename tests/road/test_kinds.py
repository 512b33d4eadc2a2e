"""Chat completions and embeddings, at every tier, from a caller of its own."""

import json
from typing import Any

import pytest

from tests.road.callers import Caller

TIERS = ["sync", "near-real-time", "batch"]
pytestmark = pytest.mark.parametrize("tier", TIERS)


@pytest.fixture(scope="module")
def kinds(caller: Caller) -> dict[str, Any]:
    """What the caller got, by tier and name."""
    process = caller.start("kinds", "kinds.py")
    assert 0 == process.wait(within_s=120), process.tail()
    found: dict[str, Any] = json.loads(process.tail().splitlines()[-1])
    return found


def test_a_chat_completion_is_answered(kinds: dict[str, Any], tier: str) -> None:
    """
    Its text is the output, and a batch costs half a direct call.
    """
    value = kinds[tier]["chat"]
    usage = value["usage"]
    full = usage["input_tokens"] * 150 + usage["output_tokens"] * 600

    assert ("chat", tier, "answered") == (value["endpoint"], value["tier"], value["outcome"])
    assert "kind" in value["output"]
    assert (full / 2 if tier == "batch" else full) == value["cost_nano_usd"]


def test_embeddings_hold_a_vector_for_each_input(kinds: dict[str, Any], tier: str) -> None:
    """
    Two texts, two vectors, in order; input tokens are all that is paid.
    """
    value = kinds[tier]["embeddings"]
    full = value["usage"]["input_tokens"] * 20

    assert [16, 16] == value["vectors"]
    assert (full / 2 if tier == "batch" else full) == value["cost_nano_usd"]


def test_an_output_too_long_to_travel_is_where_its_readers_look(
    kinds: dict[str, Any], tier: str
) -> None:
    """
    A task that gets such a result reads it in Redis, whichever tier it came from.
    """
    value = kinds[tier]["many"]

    assert value["output_ref"] == value["result_id"]
    assert [16] * 1000 == value["vectors"]


def test_a_bad_request_says_why(kinds: dict[str, Any], tier: str) -> None:
    """
    The provider's own words arrive as a value.
    """
    assert "invalid_request_error" == kinds[tier]["failing"]["error"]["code"]


def test_a_chord_may_mix_kinds(kinds: dict[str, Any], tier: str) -> None:
    """
    Parts of two endpoints end in one body.
    """
    assert "body of kinds" == kinds[tier]["chord"]
