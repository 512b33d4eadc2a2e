"""Calls of a client that is newer than the service: refused in words, kept, counted, and nothing bought."""

from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import redis
from celery import Celery

from dev.stack import Stack
from tests.client.apps import calling
from tests.road.conftest import books
from tests.support.waiting import wait_until
from tests.versions import lying
from tests.versions.calls import WORKLOADS
from tests.versions.questions import UNKNOWN_ID
from tests.versions.recordings import Recording, oldest
from tests.versions.shapes import SHAPES
from unhurried import JobFailed, Result, messages
from unhurried.contract import CONTRACT_HEADER, CONTRACT_VERSION, CONTROL_QUEUE, QUEUES, Tier
from unhurried.errors import UnknownJob

_WITHIN_S: Final = 60.0
#: Every queue and every kind of message that is looked at for its contract.
WAYS: Final = ("plain", "tiers", "notifications", "run", "structured")
NEWER: Final = CONTRACT_VERSION + 1


@pytest.fixture(scope="module")
def recording() -> Recording:
    """One stack is enough here."""
    return oldest()


@pytest.fixture
def newer(
    monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis, redis_url: str
) -> lying.Lying:
    """Every way of calling, as the next version might publish it: another contract, a field more."""
    monkeypatch.setenv("UNHURRIED_WORKLOADS", str(WORKLOADS))
    with calling(redis_url) as app:
        for name in WAYS:
            SHAPES[name](app)
        found = lying.taken(redis_client)
    for message in _messages(found):
        message["headers"][CONTRACT_HEADER] = NEWER
        message["body"][1]["unheard_of"] = {"whatever": 1}
    return found


def _messages(found: lying.Lying) -> list[dict[str, Any]]:
    lists = [one["value"] for one in found.values() if one["type"] == "list"]
    return [one["message"] for value in lists for one in value]


def test_a_newer_contract_is_refused_at_every_door(
    newer: lying.Lying, server: redis.Redis, app: Celery, stack: Stack
) -> None:
    """
    Each task fails with both versions in its words, at every tier and as every kind of message; the
    messages of batch, near-real-time and notifications are kept with their tickets and counted in the
    log; the simulator bills nothing.
    """
    lying.put_back(server, newer)
    ids = [one["headers"]["id"] for one in _messages(newer)]
    wait_until(
        lambda: all(messages.job(one).ready() for one in ids),
        within_s=_WITHIN_S,
        what="every refusal",
    )

    said = f"this service speaks contract {CONTRACT_VERSION}, the message {NEWER}: "
    said += "deploy the service before its callers"
    assert {("contract_version", f"contract_version: {said}")} == {_refusal(one) for one in ids}
    direct = {one["message"]["headers"]["id"] for one in newer[QUEUES[Tier.SYNC]]["value"]}
    assert len(direct) == 1
    kept = _kept(stack)
    # The mail about a failure, which a mail is followed by, has a ticket of its own.
    assert {one: one not in direct for one in ids} == {one: kept.get(one, False) for one in ids}
    assert len(ids) - 1 == _counted(stack.directory / "logs" / "intake.log")
    assert (0, []) == (books(stack)["lines"], books(stack)["batches"])
    assert app


def _refusal(job_id: str) -> tuple[str, str]:
    with pytest.raises(JobFailed) as failed:
        messages.job(job_id).peek()
    return failed.value.code, str(failed.value)


def _kept(stack: Stack) -> dict[str, bool]:
    """Which tickets there are, and whether the message is whole in them."""
    plain = stack.variables["UNHURRIED_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(plain) as connection:
        rows = connection.execute("SELECT task_id, body, headers FROM ticket").fetchall()
    return {
        str(task_id): b"unheard_of" in body and CONTRACT_HEADER.encode() in headers
        for task_id, body, headers in rows
    }


def _counted(log: Path) -> int:
    found = [
        line for line in log.read_text("utf-8").splitlines() if "event=contract_refused" in line
    ]
    return sum(int(line.rpartition("messages_count=")[2]) for line in found)


def test_a_command_that_nobody_knows_holds_up_no_other(server: redis.Redis, app: Celery) -> None:
    """What only a newer service could answer is passed over, and the next question is answered."""
    with calling(server_url(server)) as own:
        own.send_task("unhurried.foresee.v1", kwargs={"reply": "x"}, queue=CONTROL_QUEUE)

    with pytest.raises(UnknownJob):
        messages.result(UNKNOWN_ID)
    assert app


def server_url(server: redis.Redis) -> str:
    """Where a client's server is."""
    options = server.connection_pool.connection_kwargs
    return f"redis://{options['host']}:{options['port']}/0"


def test_a_newer_result_is_refused_and_not_guessed_at() -> None:
    """A result of the next schema is a ValueError that names the one that is understood."""
    with pytest.raises(ValueError, match="not a result of schema 1"):
        Result.parse({"schema": 2, "job_id": "j", "outcome": "answered", "output": "?"})


def test_a_field_that_a_newer_service_adds_is_passed_over() -> None:
    """A result of today's schema with a field more is read as it would be without."""
    known = {"schema": 1, "job_id": "j", "outcome": "answered", "output": "yes"}

    assert Result.parse(known) == Result.parse({**known, "unheard_of": {"whatever": 1}})
