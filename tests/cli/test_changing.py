"""The acting commands as an operator types them: a process of its own, over a real ledger."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from app.ledger import engine as ledger
from app.ledger import lanes
from app.ledger.lanes import LaneName
from tests.support.answering import admit, answer
from tests.support.factories import an_admission

_WITHIN_S = 60
PROMPT = "A canary sings of its secret."


@dataclass
class Typed:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Its one object."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class Terminal:
    """Where an operator types."""

    engine: Engine
    environment: dict[str, str]

    def type(self, *words: str, why: str | None = "ticket 4711", stdin: Any = None) -> Typed:
        """Run one command without a terminal."""
        reason = ["--why", why] if why is not None else []
        done = subprocess.run(
            [sys.executable, "-m", "tests.cli.entry", *words, *reason],
            env=self.environment,
            stdin=stdin or subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
        return Typed(done.returncode, done.stdout, done.stderr)

    def rows(self, statement: str) -> list[Any]:
        """What the ledger says."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]


@pytest.fixture
def terminal(database_url: str, redis_url: str) -> Iterator[Terminal]:
    """One whose settings name this test's servers."""
    engine = ledger.connect(database_url)
    environment = {
        **os.environ,
        "UNHURRIED_DATABASE_URL": database_url,
        "UNHURRIED_REDIS_URL": redis_url,
        "COLUMNS": "200",
    }
    yield Terminal(engine, environment)
    engine.dispose()


def test_a_job_is_cancelled_and_the_reason_recorded(terminal: Terminal) -> None:
    """
    By any of its names; the prompt is in no word of it.
    """
    admit(terminal.engine, [an_admission("a", key="k", prompt=PROMPT)])
    said = terminal.type("cancel", "k", "--who", "ada", "--json")
    told = terminal.type("cancel", "a")

    assert (0, 1, {"cancelled": 1}) == (said.code, said.json["touched"], said.json["did"])
    assert [("cancelled",)] == terminal.rows("SELECT state FROM job")
    assert [("ada", "ticket 4711", "cancel", "key:k")] == terminal.rows(
        "SELECT who, why, what, subject FROM action ORDER BY id LIMIT 1"
    )
    assert (1, True) == (told.code, "left: it has ended" in told.out)
    assert "canary" not in said.out + said.err + told.out + told.err


def test_a_reason_is_asked_for(terminal: Terminal) -> None:
    """
    Without one, or with an empty one, nothing is done.
    """
    admit(terminal.engine, [an_admission("a")])

    assert (2, 2) == (
        terminal.type("cancel", "a", why=None).code,
        terminal.type("cancel", "a", why=" ").code,
    )
    assert [("waiting",)] == terminal.rows("SELECT state FROM job")


def test_nothing_of_that_name(terminal: Terminal) -> None:
    """
    The command says what it looked for.
    """
    said = terminal.type("cancel", "nobody")

    assert (2, True) == (said.code, "known as job, task, key, run or batch 'nobody'" in said.err)


def test_a_filter_says_how_many_and_needs_a_yes(terminal: Terminal) -> None:
    """
    A script that means it says so; one that names nothing touches nothing.
    """
    admit(terminal.engine, [an_admission(f"t-{n}", workload="tagging") for n in range(3)])
    refused = terminal.type("cancel", "--workload", "tagging")
    everything = terminal.type("cancel", "--yes")

    assert (2, True) == (refused.code, "3 cancelled; say --yes" in refused.err)
    assert (2, True) == (everything.code, "at least one filter" in everything.err)
    assert [("waiting", 3)] == terminal.rows("SELECT state, count(*) FROM job GROUP BY state")
    assert 3 == terminal.type("cancel", "--workload", "tagging", "--yes", "--json").json["touched"]


def test_a_person_at_a_terminal_is_asked(terminal: Terminal) -> None:
    """
    What would be done, what is not undone, and only then whether.
    """
    admit(terminal.engine, [an_admission("a")])
    ours, theirs = pty.openpty()
    os.write(ours, b"n\n")
    said = terminal.type("cancel", "a", stdin=theirs)
    os.close(ours)
    os.close(theirs)

    assert 1 == said.code
    assert "cancel task:a: 1 cancelled" in said.err
    assert "paid for, kept and delivered" in said.err
    assert [("waiting",)] == terminal.rows("SELECT state FROM job")


def test_the_same_request_acts_once(terminal: Terminal) -> None:
    """
    A script that is not sure runs it again.
    """
    admit(terminal.engine, [an_admission("a")])
    words = ("expedite", "a", "--json", "--request-id", str(uuid4()))
    first, again = terminal.type(*words), terminal.type(*words)

    assert (0, 0) == (first.code, again.code)
    assert {**first.json, "repeated": True} == again.json
    assert [("near-real-time",)] == terminal.rows("SELECT tier FROM job")


def test_a_due_time_is_said_as_people_do(terminal: Terminal) -> None:
    """
    A span from now, never, or a moment; not one that has passed.
    """
    admit(terminal.engine, [an_admission("a")])
    soon = terminal.type("due", "a", "--at", "8h", "--json")
    assert {"due_changed": 1} == soon.json["did"]
    assert [(True,)] == terminal.rows("SELECT due_at > now() + interval '7 hours' FROM job")
    passed = terminal.type("due", "a", "--at", "2020-01-01")
    assert (2, True) == (passed.code, "cancel them" in passed.err)
    assert {"due_changed": 1} == terminal.type("due", "a", "--at", "never", "--json").json["did"]
    assert [(None,)] == terminal.rows("SELECT due_at FROM job")


def test_a_lane_is_paused_and_resumed(terminal: Terminal) -> None:
    """
    By hand, until by hand; ours too.
    """
    where = ("anthropic", "--model", "claude-haiku-4-5")
    assert {"paused": 1} == terminal.type("pause", *where, "--json").json["did"]
    assert [("claude-haiku-4-5", "ticket 4711")] == terminal.rows(
        "SELECT model, pause_reason FROM lane WHERE paused_by IS NOT NULL"
    )
    assert {"resumed": 1} == terminal.type("resume", *where, "--json").json["did"]
    with terminal.engine.begin() as connection:
        now = ledger.now(connection)
        lanes.pause(connection, provider="openai", account="default", reason="401", at=now)
    assert 0 == terminal.type("resume", "openai").code
    assert [] == terminal.rows("SELECT 1 FROM lane WHERE paused_at IS NOT NULL")
    assert "anthropic/default" == str(LaneName("anthropic", "default"))


def test_what_waits_is_packed_and_looked_at_now(terminal: Terminal) -> None:
    """
    Both say how many; where there is nothing to do they exit 1.
    """
    admit(terminal.engine, [an_admission("a")])

    assert {"flushed": 1} == terminal.type("flush", "--json").json["did"]
    assert 1 == terminal.type("flush", "--provider", "openai").code
    assert 1 == terminal.type("poll").code


def test_unread_results_of_a_consumer_count_as_read(terminal: Terminal) -> None:
    """
    As many as it says it would be, after a yes; then nobody is missed.
    """
    jobs = admit(terminal.engine, [an_admission(f"t-{n}", workload="tagging") for n in range(3)])
    answer(terminal.engine, jobs)
    with terminal.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE ticket SET state = 'completed', completed_at = now(), awaited_by = 'app.report'"
            )
        )
    words = ("read", "--consumer", "app.report")
    refused = terminal.type(*words)
    told = terminal.type(*words, "--who", "ada", "--yes", "--json")

    assert (2, True) == (refused.code, "read consumer:app.report: 3 read; say --yes" in refused.err)
    assert (0, {"read": 3}) == (told.code, told.json["did"])
    assert [("ada", 3)] == terminal.rows(
        "SELECT picked_up_by, count(*) FROM ticket WHERE picked_up_at IS NOT NULL GROUP BY 1"
    )
    assert 1 == terminal.type(*words, "--yes").code
    assert 2 == terminal.type("read", "t-1", "--consumer", "app.report").code


def test_it_is_told_again_how_tasks_ended(terminal: Terminal) -> None:
    """
    Of a workload since a moment, after a yes: it says what of it, and what is left.
    """
    jobs = admit(terminal.engine, [an_admission(f"t-{n}", workload="tagging") for n in range(2)])
    answer(terminal.engine, jobs[:1])
    with terminal.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE ticket SET state = 'completed', completed_at = now() WHERE state = 'ready'"
            )
        )
    words = ("redeliver", "--workload", "tagging", "--since", "1d")
    refused = terminal.type(*words)
    told = terminal.type(*words, "--only", "results", "--yes", "--json")
    open_ = terminal.type("redeliver", "t-1")

    assert (2, True) == (refused.code, "1 results; say --yes" in refused.err)
    assert (0, {"results": 1}) == (told.code, told.json["did"])
    assert (1, True) == (open_.code, "left: it has not ended" in open_.out)
    assert [(1,)] == terminal.rows("SELECT count(*) FROM ticket WHERE again_due_at IS NOT NULL")
    assert 2 == terminal.type("redeliver", "--workload", "tagging").code


def test_a_run_is_shown_and_cancelled(terminal: Terminal) -> None:
    """
    By its id, like a job and a batch.
    """
    run = str(uuid4())
    admit(terminal.engine, [an_admission("part", run=run)])
    shown = terminal.type("show", run, why=None)

    assert (0, True) == (shown.code, "publishing" in shown.out)
    assert {"cancelled": 1} == terminal.type("cancel", run, "--json").json["did"]
    assert "cancel asked for" in terminal.type("show", run, why=None).out


def test_failed_jobs_of_a_filter_are_retried_since_a_moment(terminal: Terminal) -> None:
    """
    Without a moment it would be everything that ever failed.
    """
    said = terminal.type("retry", "--workload", "tagging", "--yes")

    assert (2, True) == (said.code, "--since" in said.err)
    assert 1 == terminal.type("retry", "--workload", "tagging", "--since", "1d", "--yes").code


def test_a_prompt_is_shown_for_a_reason_and_on_the_record(terminal: Terminal) -> None:
    """
    Without either nobody sees it; in a table it stands as it was asked.
    """
    admit(terminal.engine, [an_admission("a", prompt=PROMPT)])
    plain = terminal.type("show", "a", why=None)
    unexplained = terminal.type("show", "a", "--reveal", why=None)
    told = terminal.type("show", "a", "--reveal", "--who", "ada")
    parsed = terminal.type("show", "a", "--reveal", "--who", "ada", "--json").json

    assert (0, False) == (plain.code, "canary" in plain.out)
    assert (2, True) == (unexplained.code, "--why" in unexplained.err)
    assert (0, True) == (told.code, PROMPT in told.out)
    assert PROMPT in json.dumps(parsed["request"])
    assert [("ada", "ticket 4711", "reveal", f"job:{parsed['id']}")] * 2 == terminal.rows(
        "SELECT who, why, what, subject FROM action WHERE outcome IS NOT NULL ORDER BY id"
    )
