"""Programs are told, from a caller of its own to a receiver of its own, each event verified."""

import json
from typing import Any

import pytest

from dev.stack import Stack
from tests.notify.hooks import verified
from tests.notify.receivers import Inbox
from tests.road.callers import Caller
from tests.support.waiting import wait_until
from unhurried.signing import Event

Hooks = dict[str, Any]


@pytest.fixture(scope="module")
def hooks(caller: Caller) -> Hooks:
    """What the caller got, by name."""
    process = caller.start("hooks", "hooks.py")
    assert 0 == process.wait(within_s=150), process.tail()
    found: Hooks = json.loads(process.tail().splitlines()[-1])
    return found


def told(inbox: Inbox, task_id: str) -> Event:
    """The one event about a task, however often it came."""
    events = {event.id: event for event in map(verified, inbox.got)}
    about = [event for event in events.values() if event.data["task_id"] == task_id]
    assert len(about) <= 1, about
    return about[0] if about else pytest.fail(f"nobody was told of {task_id}")


def awaited(inbox: Inbox, task_id: str) -> Event:
    """That event, once it has come."""
    wait_until(
        lambda: any(verified(got).data["task_id"] == task_id for got in inbox.got),
        within_s=30,
        what=f"a webhook about {task_id}",
    )
    return told(inbox, task_id)


def test_a_notice_tells_of_one_job(hooks: Hooks, inbox: Inbox) -> None:
    """
    `notify=webhook.to(...)`: the id that the caller has, its subject, and not a word of the answer.
    """
    result = hooks["notice"]
    event = awaited(inbox, result["id"])

    assert "job.completed" == event.type
    assert result["value"]["job_id"] == event.data["job_id"]
    assert ("u:1", "batch", "succeeded") == tuple(
        event.data[name] for name in ("subject", "tier", "state")
    )
    assert not any(b"hook holds" in got.body for got in inbox.got)


def test_a_notice_tells_of_a_failure(hooks: Hooks, inbox: Inbox) -> None:
    """
    Whatever the call's own policy makes of it, the receiver hears that it could not be done.
    """
    event = awaited(inbox, hooks["notice of a failure"]["id"])

    assert "job.failed" == event.type
    assert {"code": "invalid_request_error", "retryable": False} == event.data["error"]


def test_a_webhook_as_a_chords_body_tells_how_many(hooks: Hooks, inbox: Inbox) -> None:
    """
    The chord's own id, its counts, and a receipt as the chord's result.
    """
    result = hooks["chord"]
    event = told(inbox, result["id"])

    assert ("group.completed", 2, 1, "partly") == (
        event.type,
        *(event.data[name] for name in ("jobs", "failed", "state")),
    )
    assert event.id == "evt_" + result["value"]["notification_id"].replace("-", "")


def test_a_chord_that_fails_still_tells_its_receiver(hooks: Hooks, inbox: Inbox) -> None:
    """
    The body never runs, and its errback says so.
    """
    assert "invalid_request_error" == hooks["chord failing"]["code"]

    assert "job.failed" == awaited(inbox, hooks["chord failing"]["id"]).type


def test_a_chains_end_tells_what_the_callers_task_counted(hooks: Hooks, inbox: Inbox) -> None:
    """
    A report of the caller's own, run in its own worker, between the chord and the webhook.
    """
    event = told(inbox, hooks["chain"]["id"])

    assert ("group.completed", 2, 0) == (event.type, event.data["jobs"], event.data["failed"])


def test_a_run_tells_once_how_many(hooks: Hooks, inbox: Inbox) -> None:
    """
    By the id that its caller has, with its workload, when its last part has ended.
    """
    event = awaited(inbox, hooks["run"]["id"])

    assert ("group.completed", "hooks", 3, 1, "partly") == (
        event.type,
        *(event.data[name] for name in ("workload", "jobs", "failed", "state")),
    )


def test_a_link_tells_of_the_job_it_is_linked_to(hooks: Hooks, inbox: Inbox) -> None:
    """
    By the id of the job's task, which the caller has.
    """
    event = awaited(inbox, hooks["link"]["id"])

    assert "job.completed" == event.type
    assert hooks["link"]["value"]["job_id"] == event.data["job_id"]


def test_a_chain_goes_on_after_a_webhook(hooks: Hooks) -> None:
    """
    Once it is delivered, the next step gets its receipt.
    """
    assert {"jobs": 1, "failed": 0} == hooks["middle"]["value"]


@pytest.mark.parametrize("name", ["nobody", "notice to nobody"])
def test_a_receiver_that_is_not_set_up_is_refused(hooks: Hooks, name: str) -> None:
    """
    The task fails with the names there are; nothing is asked of a provider.
    """
    assert "unknown_receiver" == hooks[name]["code"]
    assert hooks[name]["text"].endswith("set up are: crm")


@pytest.mark.usefixtures("hooks")
def test_nobody_else_learns_where_a_receiver_is(stack: Stack, inbox: Inbox) -> None:
    """
    No log of the service holds its address or a secret.
    """
    logs = [path.read_text("utf-8", "replace") for path in (stack.directory / "logs").glob("*.log")]

    assert any("webhook_sent" in log for log in logs)
    assert not any(f":{inbox.port}/" in log or "whsec_" in log for log in logs)
