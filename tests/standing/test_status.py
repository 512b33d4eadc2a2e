"""Three states that look alike, told apart from outside within ten seconds: real processes, really stopped."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from tests.standing.conftest import LINGER_S, Desk
from tests.support.stopping import stopped
from tests.support.waiting import wait_until

pytestmark = pytest.mark.ops

_WITHIN_S = 240.0
_ANSWERS_WITHIN_S = 20.0
CANARY = "canary-prompt"


@pytest.fixture(autouse=True)
def rested(desk: Desk) -> Iterator[None]:
    """Whatever a test has left under way, late or not, is over before the next one stops anybody."""
    yield
    desk.rest(within_s=_WITHIN_S)


def publish(desk: Desk, key: str) -> dict[str, list[str]]:
    """A chord whose body is the hourly report; its ids."""
    process = desk.caller.start(f"leaving.{key}", "leaving.py", key)
    assert 0 == process.wait(within_s=60), process.tail()
    found: dict[str, list[str]] = json.loads(process.tail().splitlines()[-1])
    return found


def reported(desk: Desk, key: str) -> bool:
    return any(run["name"] == key for run in desk.caller.events("hourly_report"))


def test_a_batch_of_six_hours_exits_0(desk: Desk) -> None:
    """
    It is on time, it is looked at, it counts nothing: nobody is to do anything.
    """
    with psycopg.connect(desk.ledger_url, autocommit=True) as connection:
        connection.execute(
            """
            WITH p AS (
              INSERT INTO pack VALUES (gen_random_uuid(), 'anthropic', 'default', 'messages', 'm', '',
                                       5000, 1, 1, 'full', now() - interval '6 hours') RETURNING id
            )
            INSERT INTO submission (id, token, pack_id, attempt, provider, account, workspace, state,
                                    provider_batch_id, provider_status, created_at, sent_at,
                                    accepted_at, observed_at, poll_at, expires_at)
            SELECT gen_random_uuid(), 'old', p.id, 1, 'anthropic', 'default', 'w', 'accepted',
                   'msgbatch_old', 'in_progress', now() - interval '6 hours',
                   now() - interval '6 hours', now() - interval '6 hours', now(),
                   now() + interval '1 day', now() + interval '18 hours' FROM p
            """
        )
        try:
            found = desk.await_code(0, within_s=60, what="a healthy service")
            listed = desk.type("batches", "--json").json
            shown = desk.type("show", "msgbatch_old")
        finally:
            connection.execute("DELETE FROM submission WHERE token = 'old'")

    assert "ok" == found.json["verdict"]
    assert [("msgbatch_old", "ok")] == [
        (one["batch"]["provider_batch_id"], one["health"]) for one in listed
    ]
    assert 0 == shown.code
    assert "accepted" in shown.text


def test_a_stopped_packer_exits_2_within_the_fill_window(desk: Desk) -> None:
    """
    It says which process and what waits; once it goes on, everything is well again.
    """
    desk.await_code(0, within_s=60, what="a healthy service")
    with stopped(desk.stack.process("packer")):
        stopped_at = datetime.now(UTC)
        publish(desk, "packing")
        found = desk.await_code(2, within_s=_WITHIN_S, what="the packer's silence to be told")
        printed = desk.type("status")

    finding = found.findings()["packer_silent"]
    assert "stuck" == finding["severity"]
    assert "2 jobs wait" in finding["sentence"]
    assert "packer" in finding["remedy"]
    # When it looked: on a busy machine a command starts slowly.
    looked_at = datetime.fromisoformat(found.json["at"])
    assert (looked_at - stopped_at).total_seconds() < LINGER_S
    assert printed.text.startswith("STUCK")
    assert "packer_silent" in printed.text

    wait_until(lambda: reported(desk, "packing"), within_s=_WITHIN_S, what="the chord's body")
    desk.await_code(0, within_s=60, what="a service that is well again")


def test_a_stopped_consumer_exits_1_and_is_named(desk: Desk) -> None:
    """
    Its chord has fired and nobody ran the body; once it has, nobody is missed.
    """
    worker = desk.stack.process(f"{desk.caller.queue}_worker")
    with stopped(worker):
        ids = publish(desk, "reading")
        found = desk.await_code(1, within_s=_WITHIN_S, what="the consumer to be missed")
        listed = desk.type("results", "--json").json
        story = desk.type("show", ids["parts"][0], "--json").json

    finding = found.findings()["results_unread"]
    assert ("attention", "hourly-report", 2) == (
        finding["severity"],
        finding["consumer"],
        finding["count"],
    )
    assert "hourly-report" in finding["sentence"]
    assert {"hourly-report"} == {one["consumer"] for one in listed}
    told = [one["what"] for one in story["entries"]]
    assert "awaited" in told
    assert "picked up" not in told

    wait_until(lambda: reported(desk, "reading"), within_s=60, what="the report to run")
    desk.await_code(0, within_s=60, what="nobody to be missed")


def test_one_timeline_from_the_call_site_to_the_pick_up(desk: Desk) -> None:
    """
    By whatever name a person has in the hand; never what was asked or answered.
    """
    ids = publish(desk, "story")
    wait_until(lambda: reported(desk, "story"), within_s=_WITHIN_S, what="the report to run")
    desk.await_code(0, within_s=60, what="the pick-up to be recorded")
    by_task = desk.type("show", ids["parts"][0], "--json").json
    facts = by_task["facts"]
    with psycopg.connect(desk.ledger_url) as connection:
        row = connection.execute(
            "SELECT provider_batch_id FROM submission JOIN pack_item USING (pack_id) WHERE job_id = %s",
            [facts["id"]],
        ).fetchone()
    assert row is not None

    names = [facts["id"], "story-0", "subject-story-0", facts["result_id"]]
    names += [facts["provider_request_id"]] if facts["provider_request_id"] else []
    assert [facts["id"]] * len(names) == [
        desk.type("show", name, "--json").json["id"] for name in names
    ]
    assert "batch" == desk.type("show", row[0], "--json").json["kind"]
    told = [one["what"] for one in by_task["entries"]]
    story = (
        *("published", "admitted", "packed", "intent recorded", "accepted", "answer settled"),
        *("completed", "follower published", "picked up", "read"),
    )
    assert [one for one in story if one not in told] == []
    assert "script at __main__:" in by_task["entries"][told.index("published")]["detail"]
    moments = [one["at"] for one in by_task["entries"]]
    assert sorted(moments) == moments
    assert CANARY not in json.dumps(by_task)


@pytest.mark.parametrize(
    "words",
    [("status",), ("batches",), ("jobs", "--state", "succeeded"), ("results",), ("doctor",)],
)
def test_every_command_answers_people_and_programs(desk: Desk, words: tuple[str, ...]) -> None:
    """
    A table and one JSON value of the same; no prompt in either.
    """
    people, programs = desk.type(*words), desk.type(*words, "--json")

    assert people.code in {0, 1}, people
    assert people.text
    assert programs.json is not None
    assert CANARY not in people.text + programs.text


def test_nobody_of_that_name(desk: Desk) -> None:
    """
    It says so and exits 2; several of one name are listed, and it exits 1.
    """
    publish(desk, "twice")

    missing = desk.type("show", "nothing-of-the-kind")

    assert (2, "") == (missing.code, missing.text)
    assert "nothing here is called" in missing.errors


def test_a_ledger_that_is_away_is_told_at_once(desk: Desk) -> None:
    """
    Exit 2 within seconds, with a finding for each store that does not answer.
    """
    variables = dict(desk.stack.variables)
    away = {
        "UNHURRIED_DATABASE_URL": "postgresql+psycopg://127.0.0.1:1/nowhere",
        "UNHURRIED_REDIS_URL": "redis://127.0.0.1:1/0",
    }
    desk.stack.variables.update(away)
    try:
        began = time.monotonic()
        found = desk.type("status", "--json")
        took_s = time.monotonic() - began
    finally:
        desk.stack.variables.update(variables)

    assert 2 == found.code
    assert {"ledger_unreachable", "redis_unreachable"} == set(found.findings())
    assert took_s < _ANSWERS_WITHIN_S
