"""Redis forgets what a run has published while it is being published: what follows waits for all of it."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from dev.processes import Process
from dev.stack import Stack
from tests.road.callers import Caller
from tests.road.conftest import HASTE, PROCESSES, SPEED, books
from tests.support.waiting import wait_until
from unhurried.contract import QUEUES, Tier

#: As the caller's program has it, and what is out while it is held.
CUT, OUT = 1200, 1000
QUEUE = QUEUES[Tier.BATCH]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service of its own: nobody else's work may be forgotten."""
    with Stack(
        directory=tmp_path_factory.mktemp("forgetting_runs"),
        processes=PROCESSES,
        environment=HASTE,
        simulator_options=SPEED,
    ) as running:
        yield running


def told(process: Process) -> Any:
    """What one of the caller's processes says at its end."""
    assert 0 == process.wait(within_s=120), process.tail()
    return json.loads(process.tail().splitlines()[-1])["told"]


def still(process: Process, *, is_still: bool) -> None:
    """Stop a process where it stands, or let it go on."""
    for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        one.send_signal(signal.SIGSTOP if is_still else signal.SIGCONT)


def test_a_run_that_redis_forgot_in_part_is_followed_once_all_of_it_was_published(
    stack: Stack, tmp_path: Path
) -> None:
    """
    A thousand parts in Redis alone are gone: the caller is told so, what follows does not run, and once the
    run was published again with its key it runs once, with every part, each bought once.
    """
    caller = Caller(stack, stack.directory / "caller.jsonl")
    caller.worker()
    intake, pipe = stack.process("intake"), tmp_path / "pipe"
    os.mkfifo(pipe)
    still(intake, is_still=True)
    publishing = caller.start("many_held", "many.py", "held", str(pipe))
    with redis.Redis.from_url(stack.variables["UNHURRIED_REDIS_URL"]) as client:
        wait_until(lambda: client.llen(QUEUE) >= OUT, within_s=60, what="two portions to be out")
        client.flushall()
    pipe.write_bytes(b"go on")
    refused = told(publishing)
    still(intake, is_still=False)

    assert "service_unavailable" == refused["code"]
    assert "publish the run again with the same key" in refused["says"]
    assert [] == caller.events("bulk_report")

    run_id = told(caller.start("many_again", "many.py", "again"))
    seen = told(caller.start("many_look", "many.py", "look", run_id))
    wait_until(lambda: caller.events("bulk_report"), within_s=60, what="what follows the run")

    assert ["ended", CUT] == [seen["state"], seen["texts"]]
    assert [CUT, CUT, CUT, 0] == seen["counts"]
    assert [(CUT, CUT)] == [(one["ok"], one["keys"]) for one in caller.events("bulk_report")]
    assert (CUT, []) == (books(stack)["lines"], books(stack, "/repeats"))
