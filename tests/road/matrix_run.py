"""Run the matrix: every caller at once, then wait until everything that is to come has come."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import redis

from dev.processes import Process, poll_until
from tests.road.callers import Caller
from tests.road.cells import CALLERS, CELLS
from tests.road.matrix.asking import HASTY_QUEUE
from tests.road.verdicts import Seen, seen

_PUBLISHED_AND_WAITED_S: Final = 150
_SETTLED_S: Final = 60


def hasty(caller: Caller) -> Caller:
    """Another worker of the plain caller, whose chords live for seconds."""
    return replace(caller, app="hasty", queue=HASTY_QUEUE)


def run(callers: Mapping[str, Caller]) -> Seen:
    """Start every caller's process, wait for all, and gather what they saw."""
    started = {
        name: caller.start(f"matrix_{name}", "-m", "matrix.run", name, *CALLERS[name])
        for name, caller in callers.items()
    }
    results: dict[str, dict[str, Any]] = {}
    for process in started.values():
        assert 0 == process.wait(within_s=_PUBLISHED_AND_WAITED_S), process.tail()
        results |= _printed(process)
    _wait_for_the_rest(callers, results)
    return _now(callers, results)


def _printed(process: Process) -> dict[str, dict[str, Any]]:
    lines = process.log.read_text("utf-8").splitlines()
    found: dict[str, dict[str, Any]] = json.loads(lines[-1])
    return found


def _now(callers: Mapping[str, Caller], results: Mapping[str, dict[str, Any]]) -> Seen:
    lines = [line for caller in callers.values() for line in caller.cells()]
    (mails,) = {caller.stack.mails for caller in callers.values()}
    return seen(results, lines, mails)


def _wait_for_the_rest(
    callers: Mapping[str, Caller], results: Mapping[str, dict[str, Any]]
) -> None:
    """Callbacks and errbacks run after the result is there, and a second one after the first.

    What does not come within the bound is told by the cells.
    """
    poll_until(lambda: _complete(callers, results), within_s=_SETTLED_S)
    queues = [*(caller.queue for caller in callers.values()), HASTY_QUEUE]
    (url,) = {caller.stack.variables["UNHURRIED_REDIS_URL"] for caller in callers.values()}
    with redis.Redis.from_url(url) as client:
        poll_until(lambda: _idle(client, queues), within_s=_SETTLED_S)


def _complete(callers: Mapping[str, Caller], results: Mapping[str, dict[str, Any]]) -> bool:
    found = _now(callers, results)
    return all(found.complete(cell) for cell in CELLS if cell.id in results)


def _idle(client: "redis.Redis", queues: Iterable[str]) -> bool:
    return not any(client.llen(queue) for queue in queues) and not client.hlen("unacked")
