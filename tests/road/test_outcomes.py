"""Every way in which an answer is not what was asked for, by every policy, at every tier."""

import hashlib
import json
from typing import Any

import pytest

from dev.stack import Stack
from tests.road.callers import Caller
from tests.road.conftest import lines

CODES = {
    "refusal": "refused",
    "truncated": "truncated",
    "incomplete": "incomplete",
    "mismatch": "schema_mismatch",
    "pause": "paused",
}
OUTCOMES = {
    "refusal": "refused",
    "truncated": "truncated",
    "incomplete": "incomplete",
    "mismatch": "mismatch",
    "pause": "paused",
}
TEXT = "Tell me about ends. An end is where something stops. It may come early."
KINDS = [
    (endpoint, marker)
    for endpoint in ("messages", "responses", "chat")
    for marker in CODES
    if marker != "pause" or endpoint == "messages"
]
ENDPOINTS = ["messages", "responses", "chat"]
pytestmark = pytest.mark.parametrize("tier", ["sync", "near-real-time", "batch"])

Outcomes = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def outcomes(caller: Caller) -> Outcomes:
    """What the caller got, by tier, endpoint and name."""
    process = caller.start("outcomes", "outcomes.py")
    assert 0 == process.wait(within_s=160), process.tail()
    found: Outcomes = json.loads(process.log.read_text("utf-8").splitlines()[-1])
    return found


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_answer_of_the_schema_is_parsed(outcomes: Outcomes, tier: str, endpoint: str) -> None:
    """
    A simulated provider that is held to a schema answers in it.
    """
    good = outcomes[tier][endpoint]["good"]

    assert ("answered", {"name", "count"}) == (good["outcome"], good["parsed"].keys())


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_answer_may_call_the_callers_tools(outcomes: Outcomes, tier: str, endpoint: str) -> None:
    """
    Each endpoint has them elsewhere; a result has them in one place.
    """
    called = outcomes[tier][endpoint]["tool"]

    assert (True, "answered", [["look", ["place"]]]) == (
        called["ok"],
        called["outcome"],
        called["tools"],
    )


@pytest.mark.parametrize(("endpoint", "marker"), KINDS)
def test_a_flawed_answer_fails_its_task(
    outcomes: Outcomes, tier: str, endpoint: str, marker: str
) -> None:
    """
    With `raise`, every kind has a code of its own.
    """
    raised = outcomes[tier][endpoint][f"{marker} raise"]

    assert ("JobFailed", CODES[marker]) == (raised.get("raised"), raised["code"])


@pytest.mark.parametrize(("endpoint", "marker"), KINDS)
def test_a_flawed_answer_may_be_a_value(
    outcomes: Outcomes, tier: str, endpoint: str, marker: str
) -> None:
    """
    With `return`, the error stands beside what was said and paid for.
    """
    value = outcomes[tier][endpoint][f"{marker} return"]

    assert (False, CODES[marker], OUTCOMES[marker], False) == (
        value["ok"],
        value["code"],
        value["outcome"],
        value["dropped"],
    )
    assert value["partial"]
    assert value["cost"] > 0


@pytest.mark.parametrize(("endpoint", "marker"), KINDS)
def test_a_flawed_answer_is_asked_for_again(
    outcomes: Outcomes, tier: str, endpoint: str, marker: str
) -> None:
    """
    With `retry`, the second attempt's whole answer is the result.
    """
    value = outcomes[tier][endpoint][f"{marker} once"]

    assert (True, "answered") == (value.get("ok"), value["outcome"])


def test_retry_is_bounded_and_every_attempt_is_paid_for(
    outcomes: Outcomes, stack: Stack, tier: str
) -> None:
    """
    After the last attempt it fails as with `raise`, and the provider has billed each.
    """
    raised = outcomes[tier]["responses"]["refusal retry"]
    prompt = f"[[sim:refusal]] {TEXT} responses {tier} retry"
    request = {"model": "gpt-5-mini", "input": prompt}
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    billed = [line for line in lines(stack) if line["prompt"] == digest]

    assert ("refused", 2) == (raised["code"], len(billed))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_dropped_part_says_so(
    outcomes: Outcomes, caller: Caller, tier: str, endpoint: str
) -> None:
    """
    With `drop`, a chord's body runs and sees which part is to be left out.
    """
    value = outcomes[tier][endpoint]["refusal drop"]
    name = f"drop {endpoint} {tier}"
    parts = [run["parts"] for run in caller.events("body") if run["name"] == name]

    assert (False, "refused", True) == (value["ok"], value["code"], value["dropped"])
    assert [[None, "incomplete"]] == [[part["code"] for part in run] for run in parts]
