"""Key = job, task id = ticket: whoever asks again gets the answer, and nobody pays twice."""

import json
from hashlib import sha256
from typing import Any

import pytest

from dev.stack import Stack
from tests.road.callers import Caller
from tests.road.conftest import books, lines

PROMPT = "Tell me about keys. A key opens one lock. Keep it safe."


@pytest.fixture(scope="module")
def keys(caller: Caller) -> dict[str, Any]:
    """What the caller got."""
    process = caller.start("keys", "keys.py")
    assert 0 == process.wait(within_s=120), process.tail()
    found: dict[str, Any] = json.loads(process.tail().splitlines()[-1])
    return found


def test_two_chords_over_the_same_keys_both_run_their_body(
    keys: dict[str, Any], caller: Caller
) -> None:
    """
    One asked before the answers existed, one after; each body ran once, with every part.
    """
    assert ["body of first", "body of second"] == keys["bodies"]
    sizes = {
        name: [len(run["parts"]) for run in caller.events("body") if run["name"] == name]
        for name in ("first", "second")
    }
    assert {"first": [50], "second": [50]} == sizes


def test_one_request_a_key_is_billed(keys: dict[str, Any], stack: Stack) -> None:
    """
    Fifty keys, a hundred and one tasks, fifty billed lines.
    """
    assert keys
    repeated = [one for one in books(stack, "/repeats") if one["provider"] == "anthropic"]
    with_prompt = [line for line in lines(stack) if line["prompt"] in _digests()]

    assert 50 == len(with_prompt)
    assert not _digests() & {one["prompt"] for one in repeated}


def test_a_key_with_another_request_is_a_conflict(keys: dict[str, Any]) -> None:
    """
    The second task fails, and the first job still answers.
    """
    assert ("idempotency_conflict", "keys:0") == (keys["conflict"], keys["again"])


def _digests() -> set[str]:
    """How the books tell our prompts."""
    found = set()
    for number in range(50):
        turns = [{"role": "user", "content": f"{PROMPT} {number}"}]
        request = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": turns}
        found.add(sha256(json.dumps(request, sort_keys=True).encode()).hexdigest())
    return found
