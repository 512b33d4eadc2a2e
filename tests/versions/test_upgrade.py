"""A ledger that an earlier version left with batches in flight, upgraded and finished by today's processes."""

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any, Final

import psycopg
import pytest
import redis
from alembic import command
from celery import Celery

from app.ledger import migrate
from dev.servers import create_database
from dev.stack import ROOT, Stack, procfile
from tests.notify.receivers import Inbox
from tests.road.callers import Caller
from tests.road.conftest import HASTE, PROCESSES, SPEED, lines, receivers
from tests.support.waiting import wait_until
from tests.versions import lying
from tests.versions.in_flight import SPANS
from tests.versions.recordings import Recording
from unhurried import messages

_WITHIN_S: Final = 150.0
#: How long a lost create is looked for.
_SETTLE: Final = {
    "UNHURRIED_SEARCH_EVERY_S": "1",
    "UNHURRIED_SETTLE_ANTHROPIC_S": "15",
    "UNHURRIED_SETTLE_OPENAI_S": "15",
}
#: A create that was not heard of is looked for once it can no longer be under way: it need not be waited for.
_AGO: Final = timedelta(seconds=float(SPANS["UNHURRIED_SEND_TTL_S"]))

Left = Mapping[str, Any]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Iterator[Stack]:
    """Servers and the simulator; no process of the service until the ledger is there."""
    with Stack(
        directory=tmp_path_factory.mktemp("stack"),
        processes=[],
        environment=HASTE | SPANS | _SETTLE | receivers(inbox),
        simulator_options=SPEED,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def left(recording: Recording, stack: Stack, server: redis.Redis) -> Left:
    """What was recorded, at the providers, in the ledger as that version had it, and in Redis."""
    found: dict[str, Any] = recording.part("in_flight")
    sql = recording.text("in_flight", file="ledger.sql", ago=_AGO)
    for before, after in _sent_again(stack, recording.as_it_was("in_flight")["sent"]).items():
        sql = sql.replace(before, after)
    url = create_database(stack.servers["postgres"].url, "recorded")
    command.upgrade(migrate._config(url), found["revision"])
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        _empty(connection)
        connection.execute(sql.encode())
    stack.variables["UNHURRIED_DATABASE_URL"] = url
    lying.put_back(server, found["lying"])
    return found


def _empty(connection: psycopg.Connection[Any]) -> None:
    """Without the rows that migrations write: the recording has its own."""
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    names = ", ".join(f'"{row[0]}"' for row in rows if row[0] != "alembic_version")
    connection.execute(f"TRUNCATE {names} CASCADE".encode())


def _sent_again(stack: Stack, sent: list[dict[str, Any]]) -> dict[str, str]:
    """Have today's simulator take the recorded files and batches; their new ids by the recorded ones."""
    ids: dict[str, str] = {}
    for one in sent:
        body = one["body"]
        for before, after in ids.items():
            body = body.replace(before, after)
        url = stack.simulator_url + one["path"]
        headers = {**one["headers"], "x-api-key": "simulated", "authorization": "Bearer simulated"}
        request = urllib.request.Request(url, body.encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as reply:
            ids[json.loads(one["reply"])["id"]] = json.loads(reply.read())["id"]
    return ids


@pytest.fixture(scope="module")
def upgraded(left: Left, stack: Stack, worker: Caller) -> Left:
    """What was left, in the hands of today's migrations and processes."""
    assert _places(stack) >= {
        "job waiting",
        "job in_flight",
        "job succeeded",
        "submission planned",
        "submission sending",
        "submission accepted",
        "ticket open",
        "ticket ready",
    }
    subprocess.run(
        [sys.executable, "-m", "app.ledger", "upgrade"],
        env=stack.variables,
        cwd=ROOT,
        check=True,
    )
    migrate.check(stack.variables["UNHURRIED_DATABASE_URL"])
    for name in PROCESSES:
        stack.launch(name, procfile()[name])
    assert worker
    return left


def _places(stack: Stack) -> set[str]:
    """Which states there are."""
    plain = stack.variables["UNHURRIED_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(plain) as connection:
        rows = connection.execute("""
            SELECT 'job ' || state FROM job
            UNION SELECT 'submission ' || state FROM submission
            UNION SELECT 'ticket ' || state FROM ticket
        """).fetchall()
    return {row[0] for row in rows}


@pytest.fixture
def ended(upgraded: Left, app: Celery) -> Left:
    """Everything that was left, at its end."""
    ids = [one for place in upgraded["ends"].values() for one in place]
    wait_until(
        lambda: all(messages.job(one).ready() for one in ids) and app,
        within_s=_WITHIN_S,
        what="every end",
    )
    return upgraded


def test_every_call_that_was_in_flight_succeeds(ended: Left) -> None:
    """Whatever had become of it by the upgrade: each task of the recording ends well."""
    states = {
        place: {messages.job(one).state for one in ids} for place, ids in ended["ends"].items()
    }

    assert {place: {"succeeded"} for place in ended["ends"]} == states


def test_everything_that_follows_comes_once(
    ended: Left, worker: Caller, stack: Stack, inbox: Inbox
) -> None:
    """A link, a chord's body, what follows a run, three mails and three webhooks: one of each."""
    events = ["linked", "body", "bulk_report"]
    wait_until(
        lambda: (
            all(map(worker.events, events)) and len(inbox.got) >= 3 and len(_mailed(stack)) >= 3
        ),
        within_s=_WITHIN_S,
        what="everything that follows",
    )

    assert [1, 1, 1] == [len(worker.events(name)) for name in events]
    people = ("one", "alone", "run")
    assert Counter(f"{name}@example.org" for name in people) == _mailed(stack)
    assert 3 == len({got.id for got in inbox.got}) == len(inbox.got)
    assert ended


def _mailed(stack: Stack) -> Counter[str]:
    mails = [message_from_bytes(p.read_bytes(), policy=default) for p in stack.mails.glob("*.eml")]
    return Counter(str(mail["To"]) for mail in mails)


def test_everything_is_billed_once(ended: Left, stack: Stack) -> None:
    """Each of the sixteen jobs of batches is one line in the simulator's books, and nothing else is."""
    billed = Counter(line["prompt"] for line in lines(stack))

    assert (16, {1}) == (len(billed), set(billed.values()))
    assert ended


def test_nothing_is_left(ended: Left, stack: Stack) -> None:
    """No job waits or is in flight, no submission is open, and no ticket is."""
    wait_until(
        lambda: (
            _places(stack)
            <= {
                "job succeeded",
                "submission collected",
                "submission absent",
                "ticket completed",
            }
        ),
        within_s=_WITHIN_S,
        what="a ledger at rest",
    )
    assert ended
