"""Identical requests of a workload that shares: answered each, billed once, and never for a stranger."""

import json
from hashlib import sha256

from dev.stack import Stack
from tests.road.callers import Caller
from tests.road.conftest import lines

TIMES = 20
REQUEST = {
    "model": "claude-haiku-4-5",
    "max_tokens": 60,
    "messages": [
        {"role": "user", "content": "Tell me about echoes. An echo repeats. It costs nothing more."}
    ],
}


def test_identical_requests_are_billed_once_a_tenant(caller: Caller, stack: Stack) -> None:
    """
    Twenty at once join one job; later ones, at any tier, get its answer with its as_of; another tenant's
    is asked for itself.
    """
    process = caller.start("shared", "shared.py")
    assert 0 == process.wait(within_s=150), process.tail()
    told = json.loads(process.tail().splitlines()[-1])

    assert {"body": "body of shared", "results": 1, "moments": 1, "stranger": False} == told
    (run,) = [run for run in caller.events("body") if run["name"] == "shared"]
    assert TIMES == len(run["parts"])
    prompt = sha256(json.dumps(REQUEST, sort_keys=True).encode()).hexdigest()
    billed = [line for line in lines(stack) if line["prompt"] == prompt]
    assert 2 == len(billed)
