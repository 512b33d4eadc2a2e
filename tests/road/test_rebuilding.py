"""A consumer's table: every result delivered twice changes nothing, and a wiped one is built again."""

import json
from typing import Any

import pytest

from dev.stack import Stack
from tests.road.callers import Caller


@pytest.fixture(scope="module")
def told(stack: Stack) -> dict[str, Any]:
    """What the caller's table held each time; its worker is its own."""
    caller = Caller(stack, stack.directory / "filing.jsonl", queue="filing")
    caller.worker(include="filing")
    process = caller.start("rebuild", "rebuild.py")
    assert 0 == process.wait(within_s=150), process.tail()
    found: dict[str, Any] = json.loads(process.tail().splitlines()[-1])
    return found


def test_results_that_are_delivered_twice_change_nothing(told: dict[str, Any]) -> None:
    """
    Each of the twelve is filed once, with what it cost.
    """
    assert 12 == len(told["first"])
    assert told["first"] == told["twice"]


def test_a_table_that_was_wiped_is_built_again(told: dict[str, Any]) -> None:
    """
    From a replay of the workload, in an order that never changes; half of it once more changes nothing.
    """
    assert [] == told["wiped"]
    assert told["first"] == told["rebuilt"] == told["again"]
    assert sorted(map(int, told["cursors"])) == [int(one) for one in told["cursors"]]
