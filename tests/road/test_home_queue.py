"""What follows a call goes to its caller's own default queue, whichever tier the call is of."""

import json
from collections import Counter
from typing import Final

import pytest

from dev.processes import poll_until
from dev.stack import Stack
from tests.road.callers import Caller

TIERS: Final = ("sync", "near-real-time", "batch")
HOME: Final = "placed-home"
NAMED: Final = "placed-named"
#: How each canvas ends, and on which queue each task of its caller's comes.
SHAPES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "link": ("ended", {"link": HOME, "its link": HOME}),
    "links": ("ended", {"1": HOME, "2": HOME}),
    "link to a group": ("ended", {"1": HOME, "2": HOME}),
    "link with a queue": ("ended", {"link": NAMED}),
    # Routes are the publisher's, and the service publishes what follows a call.
    "link with a route": ("ended", {"link": HOME}),
    "errback": ("RequestRejected", {"old": HOME}),
    "errback, new": ("RequestRejected", {"new": HOME}),
    "chain": ("ended", {"1": HOME, "2": HOME}),
    "chain with a queue": ("ended", {"1": NAMED, "2": HOME}),
    "group in a chain": ("ended", {"1": HOME, "2": HOME, "3": HOME}),
    "chord": ("ended", {"body": HOME}),
    "chord of chains": ("ended", {"1": HOME, "2": HOME, "body": HOME}),
    "chord with a queue": ("ended", {"body": NAMED}),
    "chord that fails": ("RequestRejected", {"old": HOME, "new": HOME}),
    "chord of three tiers": ("ended", {"body": HOME}),
    "body of ours": ("ended", {"1": HOME, "link": HOME}),
    "chord in a chain": ("ended", {"1": HOME, "body": HOME, "last": HOME}),
    "nested chords": ("ended", {"inner": HOME, "outer": HOME}),
}
CASES: Final = [f"{shape} {tier}" for shape in SHAPES for tier in TIERS]
Came = dict[str, Counter[tuple[str, str]]]


def expected(case: str) -> Counter[tuple[str, str]]:
    """What is to come of one case: the caller's tasks, each with its queue."""
    shape = next(one for one in SHAPES if case in {f"{one} {tier}" for tier in TIERS})
    return Counter(SHAPES[shape][1].items())


@pytest.fixture(scope="module")
def homely(stack: Stack) -> Caller:
    """A caller whose default queue is not the one that the service is told of."""
    found = Caller(stack, stack.directory / "homely.jsonl", queue=HOME)
    found.worker(include="placed", also=NAMED)
    return found


@pytest.fixture(scope="module")
def ends(homely: Caller) -> dict[str, str]:
    """How each canvas ended for its caller, once what follows has come or is late."""
    process = homely.start("homes", "homes.py")
    assert 0 == process.wait(within_s=150), process.tail()
    poll_until(
        lambda: all(not expected(case) - came(homely)[case] for case in CASES),
        within_s=30,
        every_s=0.2,
    )
    lines = process.log.read_text("utf-8").splitlines()
    found: dict[str, str] = json.loads(next(line for line in lines if line.startswith("{")))
    return found


def came(caller: Caller) -> Came:
    """Which tasks of the caller's came, and on which queue, by case."""
    found: Came = {case: Counter() for case in CASES}
    for event in caller.events("placed"):
        case, _, part = event["name"].rpartition(": ")
        found[case][part, event["queue"]] += 1
    return found


@pytest.mark.parametrize("case", CASES)
def test_what_follows_a_call_goes_home_at_every_tier(
    homely: Caller, ends: dict[str, str], case: str
) -> None:
    """
    Each once, to the default queue of its caller or to the queue that it names; and its canvas ends.
    """
    shape, _, _ = case.rpartition(" ")
    assert (SHAPES[shape][0], expected(case)) == (ends[case], came(homely)[case])
