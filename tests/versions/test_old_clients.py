"""Messages as earlier clients left them in Redis, taken in and carried out by today's service."""

from collections import Counter
from collections.abc import Mapping
from email import message_from_bytes
from email.policy import default
from typing import Any
from uuid import UUID

import pytest
import redis
from celery import Celery

from app.policy.admission import job_id
from app.policy.names import parse_custom_id
from dev.stack import Stack
from tests.notify.hooks import NEW
from tests.notify.receivers import Inbox
from tests.road.callers import Caller
from tests.road.conftest import lines
from tests.support.waiting import wait_until
from tests.versions import lying
from tests.versions.questions import about
from tests.versions.recordings import Recording
from tests.versions.shapes import PICTURE
from unhurried import attach, messages
from unhurried.contract import CONTROL_QUEUE, QUEUES, Endpoint, Tier
from unhurried.readers import Reply, reply_key
from unhurried.run_wire import RunState, run_key
from unhurried.signing import unwrap

_WITHIN_S = 120.0
#: Jobs whose prompt has the simulator refuse them.
REFUSED = {"callbacks": [1, 2]}

Calls = Mapping[str, Any]


@pytest.fixture(scope="module")
def calls(recording: Recording, worker: Caller) -> Calls:  # noqa: ARG001 - first, for commands expire
    """The recorded calls, as if published now."""
    found: Calls = recording.part("calls")
    return found


@pytest.fixture
def ended(
    calls: Calls,
    app: Celery,  # noqa: ARG001 - is what publishes and reads
    server: redis.Redis,
    worker: Caller,
) -> Calls:
    """The recorded calls, put into Redis once, and every one of them at its end."""
    if not any(worker.events("linked")):
        attach(PICTURE, media_type="image/png")
        for shape in calls.values():
            lying.put_back(server, shape["lying"])
    wait_until(lambda: not _open(calls), within_s=_WITHIN_S, what="the end of every recorded call")
    return calls


def _open(calls: Calls) -> list[str]:
    ends = [one for shape in calls.values() for one in shape["ends"]]
    return [one for one in ends if not messages.job(one).ready()]


def test_every_call_comes_to_the_end_that_it_should(ended: Calls) -> None:
    """Each recorded call succeeds, but for the two whose prompts the simulator refuses."""
    states = {
        name: [messages.job(one).state for one in shape["ends"]] for name, shape in ended.items()
    }

    assert {
        name: [
            "failed" if place in REFUSED.get(name, []) else "succeeded"
            for place in range(len(shape["ends"]))
        ]
        for name, shape in ended.items()
    } == states


def test_what_follows_a_call_runs_once(ended: Calls, worker: Caller) -> None:
    """Link, errbacks of both styles, last step, chord's body and what follows a run: one run each."""
    events = ["linked", "errback", "last", "body", "bulk_report"]
    wait_until(
        lambda: all(map(worker.events, events)) and worker.cells(),
        within_s=_WITHIN_S,
        what="everything that follows",
    )

    assert [1] * len(events) == [len(worker.events(name)) for name in events]
    assert [("errback", "task, RequestRejected")] == [
        (one["event"], one["what"]) for one in worker.cells()
    ]
    assert {"name": "run", "ok": 3, "failed": 0, "keys": 3}.items() <= (
        worker.events("bulk_report")[0].items()
    )
    assert ended


@pytest.mark.usefixtures("ended")
def test_mails_and_webhooks_that_were_asked_for_go_once(stack: Stack, inbox: Inbox) -> None:
    """Four mails to four people, and four webhooks that verify, each an event of its own."""
    wait_until(
        lambda: len(inbox.got) >= 4 and len(_mailed(stack)) >= 4,
        within_s=_WITHIN_S,
        what="four webhooks and four mails",
    )
    events = [unwrap(got.body, got.headers, NEW, now=got.at) for got in inbox.got]

    people = ("one", "alone", "body", "run")
    assert Counter(f"{name}@example.org" for name in people) == _mailed(stack)
    assert 4 == len({event.id for event in events}) == len(events)


def _mailed(stack: Stack) -> Counter[str]:
    mails = [message_from_bytes(p.read_bytes(), policy=default) for p in stack.mails.glob("*.eml")]
    return Counter(str(mail["To"]) for mail in mails)


def test_each_request_is_billed_once(ended: Calls, stack: Stack) -> None:
    """As many lines in the simulator's books as different requests were recorded and not refused.

    The job that was cancelled may have been at the provider by then, and is not counted.
    """
    dropped = {
        job_id(tenant="default", endpoint=Endpoint.MESSAGES, key=None, task_id=one["headers"]["id"])
        for one in _published(ended["cancelled"])
    }
    billed = Counter(line["prompt"] for line in lines(stack) if _job(line) not in dropped)
    # Of the ends two share a request, three are refused, four are notifications, and a run is three jobs.
    ends = sum(len(shape["ends"]) for shape in ended.values())

    assert {1} == set(billed.values())
    assert ends - 1 - 3 - 4 + 2 == len(billed)


def _job(line: dict[str, Any]) -> UUID | None:
    named = parse_custom_id(line["custom_id"] or "")
    return named.job_id if named else None


def _published(shape: dict[str, Any]) -> list[dict[str, Any]]:
    return [one["message"] for one in shape["lying"][QUEUES[Tier.BATCH]]["value"]]


def test_a_cancelled_run_is_cancelled(ended: Calls, app: Celery) -> None:
    """The recorded command drops the run that was published with it."""
    (key,) = [key for key in ended["cancelled"]["lying"] if key.startswith(run_key(""))][:1]
    run = messages.run(key.split(":")[2])

    wait_until(
        lambda: run.progress.state is RunState.CANCELLED, within_s=_WITHIN_S, what="the run's end"
    )
    assert app


def test_every_question_is_answered(
    recording: Recording, server: redis.Redis, ended: Calls
) -> None:
    """To a recorded command of a client there is a reply under the key that it looks at."""
    questions = recording.part("calls", file="questions.json")
    for command in questions.values():
        server.lpush(CONTROL_QUEUE, lying.packed(command))
    keys = [reply_key(about(command["body"][1])) for command in questions.values()]

    wait_until(
        lambda: all(server.exists(key) for key in keys), within_s=_WITHIN_S, what="every reply"
    )
    unknown = questions["restore"]["body"][1]["task_id"]
    assert str(Reply.UNKNOWN).encode() == server.get(reply_key(unknown))
    assert ended
