"""Redis forgets everything: what was admitted ends all the same, and nothing goes out twice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import create_engine, text

from dev.stack import Stack
from tests.redis_loss.conftest import is_expected
from tests.road.callers import Caller
from tests.road.conftest import HASTE, PROCESSES, books
from tests.support.waiting import wait_until

PARTS = 20
JOBS = 2 * (PARTS + 2)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service of its own: nobody else's work may be forgotten."""
    with Stack(
        directory=tmp_path_factory.mktemp("forgetting"),
        processes=PROCESSES,
        environment=HASTE,
        # Slow enough that the first flush meets batches that run.
        simulator_options=["--speed", "30"],
    ) as running:
        yield running


@pytest.fixture(scope="module")
def caller(stack: Stack) -> Caller:
    """A caller with a worker."""
    found = Caller(stack, stack.directory / "caller.jsonl")
    found.worker()
    return found


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[redis.Redis]:
    """The stack's Redis."""
    with redis.Redis.from_url(stack.variables["UNHURRIED_REDIS_URL"]) as found:
        yield found


def run(caller: Caller, *arguments: str) -> Any:
    """What one of the caller's processes printed."""
    process = caller.start("ids", "ids.py", *arguments)
    assert 0 == process.wait(within_s=90), process.tail()
    lines = process.log.read_text("utf-8").splitlines()
    return json.loads(next(line for line in lines if line.startswith(("{", "["))))


def flush(client: redis.Redis) -> None:
    """Forget everything; both sides go on with the connections they have."""
    client.flushall()


def log(stack: Stack, name: str) -> str:
    """What a process said."""
    path: Path = stack.process(name).log
    return path.read_text("utf-8", "replace")


def ended(caller: Caller) -> bool:
    """Whether every body, link and last step of a chain has run."""
    return all(len(caller.events(name)) >= 2 for name in ("body", "linked", "last"))


def test_what_was_in_flight_ends_and_what_was_visible_is_visible_again(
    stack: Stack, caller: Caller, client: redis.Redis
) -> None:
    """
    Flushed while batches run, and again when all is done: every body, link and step runs once, every
    result is there, and nothing is bought twice.
    """
    url = stack.variables["UNHURRIED_DATABASE_URL"]
    wait_until(lambda: is_expected(client, url), within_s=20, what="the mark")
    ids = run(caller, "publish", str(PARTS))
    wait_until(
        lambda: len(books(stack)["batches"]) >= 2, within_s=30, what="a batch at each provider"
    )
    assert [] == caller.events("body")
    flush(client)
    wait_until(lambda: ended(caller), within_s=60, what="everything after the first flush")
    before = run(caller, "read", *ids["ours"])

    flush(client)
    after = run(caller, "read", *ids["ours"])
    told = log(stack, "completer").count("event=redis_told_again")

    assert JOBS == len(after)
    assert before == after
    assert 2 == told
    assert (2, 2, 2) == tuple(len(caller.events(name)) for name in ("body", "linked", "last"))
    parts = [len(event["parts"]) for event in caller.events("body")]
    assert [PARTS, PARTS] == parts
    assert JOBS == books(stack)["lines"]


def test_a_chord_whose_other_parts_are_forgotten_fails_with_a_reason(
    stack: Stack, caller: Caller, client: redis.Redis
) -> None:
    """
    What the caller's own part returned was in Redis alone: the body fails and its errback runs once.
    """
    bodies = len(caller.events("body"))
    ids = run(caller, "mixed")
    ended_before = log(stack, "completer").count("event=chord_lost")
    wait_until(lambda: _size_is_known(stack), within_s=20, what="the chord's size")
    flush(client)

    (found,) = run(caller, "read", *ids["theirs"])

    assert "Redis lost what other tasks of this chord had returned" in found["raised"]
    assert 1 == log(stack, "completer").count("event=chord_lost") - ended_before
    assert bodies == len(caller.events("body"))
    wait_until(lambda: caller.events("errback"), within_s=20, what="the errback")


def _size_is_known(stack: Stack) -> bool:
    engine = create_engine(stack.variables["UNHURRIED_DATABASE_URL"])
    with engine.connect() as connection:
        found = connection.execute(
            text("""
                SELECT count(*) FROM ticket JOIN chord ON chord.group_id = ticket.group_id
                WHERE ticket.state = 'open' AND chord.size = 2
            """)
        ).scalar_one()
    engine.dispose()
    return bool(found)
