"""Callers' settings on the whole road: unusual ones that work, and those that only the service's Redis tells of."""

import json
from typing import Final

import pytest

from tests.road.callers import Caller

PREFIX: Final = "result_backend_transport_options['global_keyprefix']"
ENDS: Final = {
    "pickle for its own tasks": "answered",
    "task_ignore_result": "answered",
    "declared queues alone": "answered",
    "routes for everything": "answered",
    "a priority for everything": "answered",
    "results for an hour": "answered",
    "compressed results": "answered",
    "local time": "answered",
    "extended results": "answered",
    "no second try": "answered",
    "another database": "broker_url is at database 7",
    "another prefix": f"{PREFIX} is 'mine:'",
}


@pytest.fixture(scope="module")
def odd(caller: Caller) -> dict[str, str]:
    """How a chord of each configuration ended."""
    process = caller.start("odd", "odd.py")
    assert 0 == process.wait(within_s=120), process.tail()
    # Celery's results complain when several apps end with the interpreter; that is no line of ours.
    (line,) = [line for line in process.tail().splitlines() if line.startswith("{")]
    found: dict[str, str] = json.loads(line)
    return found


@pytest.mark.parametrize("name", ENDS)
def test_a_configuration_works_or_is_refused(odd: dict[str, str], name: str) -> None:
    """
    A chord of ours completes, or its first call says which setting to change.
    """
    assert ENDS[name] == odd[name]
