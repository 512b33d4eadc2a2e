"""Minds that are changed, over the whole road: by a caller's processes and by an operator's command."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dev.stack import Stack
from tests.road.callers import Caller
from tests.road.conftest import HASTE, PROCESSES, books, lines
from tests.support.waiting import wait_until

#: A batch takes 20 to 50 seconds, and waits for company until somebody says so.
SETTINGS = {**HASTE, "UNHURRIED_LINGER_S": "3600"}
SPEED = ["--speed", "3"]
JOBS = 60


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service whose batches can be caught in the middle."""
    with Stack(
        directory=tmp_path_factory.mktemp("changing"),
        processes=[name for name in PROCESSES if name not in ("sync", "notifier")],
        environment=SETTINGS,
        simulator_options=SPEED,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def caller(stack: Stack) -> Caller:
    """Processes of another code base; none of them needs a worker."""
    return Caller(stack, stack.directory / "caller.jsonl")


def told(caller: Caller, *arguments: str) -> Any:
    """What one of the caller's processes says."""
    process = caller.start(f"changing_{arguments[0]}", "changing.py", *arguments)
    assert 0 == process.wait(within_s=150), process.tail()
    return json.loads(process.log.read_text("utf-8").splitlines()[-1])["told"]


def operator(stack: Stack, *words: str) -> dict[str, Any]:
    """What an operator's command says."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.entry", *words, "--why", "a test", "--json"],
        env={**os.environ, **stack.variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows(stack: Stack, statement: str, *values: Any) -> list[Any]:
    """What the ledger says."""
    plain = stack.variables["UNHURRIED_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(plain) as connection:
        return connection.execute(statement.encode(), values).fetchall()


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_batch_is_cancelled_in_the_middle(caller: Caller, stack: Stack, provider: str) -> None:
    """
    What had run is delivered and booked, the rest of its callers hear that it was cancelled, and nothing
    is sent again.
    """
    ids = told(caller, "publish", provider, str(JOBS))
    assert {"flushed": JOBS} == operator(stack, "flush", "--provider", provider)["did"]
    in_the_middle = """
        SELECT provider_batch_id FROM submission
        WHERE provider = %s AND clock_timestamp() > accepted_at + interval '6 s'
    """
    ((batch,),) = wait_until(
        lambda: rows(stack, in_the_middle, provider), within_s=60, what="the middle of the batch"
    )
    said = operator(stack, "cancel", batch)
    assert ({"asked_to_end": JOBS}, 1) == (said["did"], said["batches_to_end"])

    found = told(caller, "ends", *ids)
    count = Counter((state, answered) for state, answered, _ in found.values())
    assert {("succeeded", True), ("cancelled", False)} == set(count)
    ((booked, jobs),) = rows(
        stack,
        "SELECT sum(nano_usd), count(DISTINCT job_id) FROM charge WHERE source = %s",
        f"batch:{batch}",
    )
    billed = [line["nano_usd"] for line in lines(stack) if line["batch_id"] == batch]
    assert (count["succeeded", True], sum(billed)) == (jobs, int(booked))
    assert [] == books(stack, "/repeats")
    assert [(1,)] == rows(stack, "SELECT count(*) FROM submission WHERE provider = %s", provider)


def test_what_waits_is_revoked_cancelled_and_expedited(caller: Caller, stack: Stack) -> None:
    """
    Each by its caller, while the batch waits for company; the others of it stay.
    """
    revoked, cancelled, expedited, other = told(caller, "publish", "anthropic", "4")
    said = told(caller, "change", revoked, cancelled, expedited)
    assert {"cancelled": {"cancelled": 1}, "expedited": {"expedited": 1}} == said

    assert {
        revoked: ["cancelled", False, "REVOKED"],
        cancelled: ["cancelled", False, "FAILURE"],
        expedited: ["succeeded", True, "SUCCESS"],
    } == told(caller, "ends", revoked, cancelled, expedited)
    of_task = "SELECT job.state FROM ticket JOIN job ON job.id = job_id WHERE task_id = %s"
    assert ["cancelled", "waiting"] == [rows(stack, of_task, one)[0][0] for one in (revoked, other)]
    whys = {why for (why,) in rows(stack, "SELECT why FROM action WHERE who LIKE 'caller %%'")}
    assert {"the page is gone", "somebody asks for it"} == whys
