"""Webhooks against real receivers: what each end of a try becomes in the ledger."""

import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from app.notify.network import PinnedBackend
from app.notify.post import Poster
from app.policy.lifecycle import JobState
from dev.servers import free_port
from tests.docs.tree import blocks, page
from tests.notify.hooks import (
    NEW,
    OLD,
    a_sender,
    ask,
    days_pass,
    deliver,
    end_a_job,
    end_again,
    id_of,
    let_time_pass,
    pauses,
    verified,
)
from tests.notify.mails import end, row
from tests.notify.receivers import Answer, receiving
from tests.support.waiting import wait_until

DONE: dict[str, Any] = {"schema": 1, "job_id": "job-1", "output": "the secret answer"}


def the_one(engine: Engine) -> UUID:
    """The only notification there is."""
    with engine.connect() as connection:
        found: UUID = connection.execute(text("SELECT id FROM notification")).scalar_one()
    return found


def test_a_webhook_is_sent_once_and_completes_its_ticket(engine: Engine) -> None:
    """Signed with both secrets of a rotation; its task gets a receipt, the ledger a moment."""
    found = ask(engine, {"jobs": 79, "failed": 3})
    with receiving() as inbox:
        assert days_pass(engine, a_sender(engine, {"crm": inbox})) == 1
    (got,) = inbox.got
    event = verified(got)
    assert (event.id, event.type) == (id_of(found), "group.completed")
    assert (event.data["jobs"], event.data["failed"]) == (79, 3)
    assert verified(got, OLD) == event
    for secret in (NEW, OLD):
        Webhook(secret).verify(got.body, got.headers)
    assert got.headers["content-type"] == "application/json"
    assert end(engine, found) == {"schema": 1, "notification_id": str(found)}
    now = row(engine, found)
    assert (now.state, now.attempts) == ("done", 1)
    assert now.sent_at is not None


def test_asking_again_for_the_same_webhook_is_one_webhook(engine: Engine) -> None:
    """A message that is delivered twice to intake asks for one notification."""
    assert ask(engine, DONE) == ask(engine, DONE)
    with receiving() as inbox:
        assert days_pass(engine, a_sender(engine, {"crm": inbox})) == 1
    assert len(inbox.got) == 1


def test_a_job_tells_its_receiver_how_it_ended(engine: Engine) -> None:
    """`notify=webhook.to(...)`: which job, whose, and never what it said."""
    job_id = end_a_job(engine)
    with receiving() as inbox:
        assert deliver(a_sender(engine, {"crm": inbox})) == 1
    (got,) = inbox.got
    event = verified(got)
    assert event.type == "job.completed"
    data = event.data
    assert (data["job_id"], data["task_id"], data["subject"]) == (str(job_id), "task-1", "user:17")
    assert (data["tier"], data["state"], data["error"]) == ("batch", "succeeded", None)
    assert data["as_of"] < data["produced_at"]
    assert b"secret" not in got.body


@pytest.mark.parametrize(
    ("state", "event_type"),
    [
        (JobState.FAILED, "job.failed"),
        (JobState.EXPIRED, "job.expired"),
        (JobState.CANCELLED, "job.cancelled"),
    ],
)
def test_a_job_without_an_answer_says_why(engine: Engine, state: JobState, event_type: str) -> None:
    """Each end has a type of its own; the error is a code, not its words."""
    end_a_job(engine, answered=False, state=state)
    with receiving() as inbox:
        assert deliver(a_sender(engine, {"crm": inbox})) == 1
    (got,) = inbox.got
    event = verified(got)
    assert event.type == event_type
    assert event.data["error"] == {"code": "overloaded", "retryable": True}
    assert b"secret" not in got.body


@pytest.mark.parametrize("wanted", [True, False])
def test_an_answer_goes_along_only_where_it_is_wanted(engine: Engine, *, wanted: bool) -> None:
    """The receiver's settings say so, no caller can."""
    end_a_job(engine)
    with receiving() as inbox:
        deliver(a_sender(engine, {"crm": inbox}, include_output=wanted))
    data = verified(inbox.got[0]).data
    assert data.get("output") == ("the secret answer" if wanted else None)


def test_an_answer_that_fits_into_no_body_is_not_fetched(engine: Engine) -> None:
    """The vectors of one call are many megabytes: the notifier does not hold them to leave them out."""
    end_a_job(engine, output="x" * 8_000_000)
    with receiving() as inbox:
        sender = a_sender(engine, {"crm": inbox}, include_output=True)
        tracemalloc.start()
        try:
            assert deliver(sender) == 1
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert "output" not in verified(inbox.got[0]).data
    assert peak_bytes < 4_000_000


def test_a_receiver_is_told_only_what_it_takes(engine: Engine) -> None:
    """What it does not take is done without being sent, and no task waits for it."""
    wanted, unwanted = ask(engine, [DONE]), ask(engine, DONE, task_id="hook-2")
    with receiving() as inbox:
        assert deliver(a_sender(engine, {"crm": inbox}, events=["group.completed"])) == 2
    assert [got.id for got in inbox.got] == [id_of(wanted)]
    assert end(engine, unwanted)["delivery"] == "not_wanted"
    assert (row(engine, unwanted).state, row(engine, unwanted).sent_at) == ("done", None)


def test_a_receiver_in_trouble_gets_the_same_bytes_and_id_again(engine: Engine) -> None:
    """500, then 2xx: on the schedule, signed anew for its moment, and nothing else has changed."""
    found = ask(engine, DONE)
    with receiving(Answer(status=500), Answer(status=503), Answer()) as inbox:
        sender = a_sender(engine, {"crm": inbox})
        for attempt, wait_s in ((1, 5), (2, 300)):
            assert deliver(sender) == 0
            waiting = row(engine, found)
            assert (waiting.state, waiting.attempts) == ("new", attempt)
            assert wait_s - 2 <= waiting.due_in.total_seconds() <= wait_s
            assert waiting.last_error == f"HTTP {500 if attempt == 1 else 503}"
            assert deliver(sender) == 0
            let_time_pass(engine)
        assert deliver(sender) == 1
    assert {(got.id, got.body) for got in inbox.got} == {(id_of(found), inbox.got[0].body)}
    assert [verified(got).type for got in inbox.got] == ["job.completed"] * 3
    assert row(engine, found).state == "done"


def test_a_reply_that_was_lost_is_asked_for_with_the_same_id(engine: Engine) -> None:
    """The receiver had taken it and nobody heard: it comes again, and can be known again."""
    found = ask(engine, DONE)
    with receiving(Answer(lost=True), Answer()) as inbox:
        assert days_pass(engine, a_sender(engine, {"crm": inbox})) == 1
    assert [got.id for got in inbox.got] == [id_of(found)] * 2
    assert inbox.got[0].body == inbox.got[1].body
    assert row(engine, found).state == "done"


def test_its_bytes_outlive_a_change_of_settings(engine: Engine) -> None:
    """What was said once is what is said, whatever the receiver's settings are by then."""
    end_a_job(engine)
    with receiving(Answer(status=500), Answer()) as inbox:
        deliver(a_sender(engine, {"crm": inbox}))
        days_pass(engine, a_sender(engine, {"crm": inbox}, include_output=True))
    first, second = inbox.got
    assert first.body == second.body


def test_a_receiver_may_ask_for_patience(engine: Engine) -> None:
    """Retry-After counts within twice the schedule's wait."""
    found = ask(engine, DONE)
    with receiving(Answer(status=429, headers={"Retry-After": "8"})) as inbox:
        assert deliver(a_sender(engine, {"crm": inbox})) == 0
    assert 6 <= row(engine, found).due_in.total_seconds() <= 8


def test_a_receiver_that_is_gone_is_not_asked_again(engine: Engine) -> None:
    """410 is for good: dead at once, and the task that waited fails."""
    found = ask(engine, DONE)
    with receiving(Answer(status=410)) as inbox:
        assert days_pass(engine, a_sender(engine, {"crm": inbox})) == 1
    assert len(inbox.got) == 1
    assert row(engine, found).state == "dead"
    assert end(engine, found)["error"] == {
        "code": "notification_failed",
        "message": "HTTP 410",
        "retryable": False,
    }


def test_a_receiver_inside_our_network_is_dead_at_once(engine: Engine) -> None:
    """No name leads a signed body to our own machines; the reason names no address."""
    found = ask(engine, DONE)
    with receiving() as inbox:
        poster = Poster(hosts_allowed=frozenset())
        assert days_pass(engine, a_sender(engine, {"crm": inbox}, poster=poster)) == 1
    assert not inbox.got
    assert row(engine, found).state == "dead"
    assert "not public" in row(engine, found).last_error
    assert "127.0" not in row(engine, found).last_error


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_no_that_never_passes_ends_after_the_last_attempt(engine: Engine, status: int) -> None:
    """As many tries as the setting says, and no more."""
    found = ask(engine, DONE)
    with receiving(Answer(status=status)) as inbox:
        assert days_pass(engine, a_sender(engine, {"crm": inbox}, attempts_max=4)) == 1
    assert len(inbox.got) == 4
    assert (row(engine, found).state, row(engine, found).attempts) == ("dead", 4)


def test_what_is_dead_goes_again_as_the_page_says(engine: Engine) -> None:
    """Under the id and with the bytes that it had; its task has ended and stays as it ended."""
    found = ask(engine, DONE)
    with receiving(Answer(status=410), Answer()) as inbox:
        sender = a_sender(engine, {"crm": inbox})
        assert days_pass(engine, sender) == 1
        (again,) = (
            block
            for block in blocks(page("docs/operating.md"), "sql")
            if block.startswith("UPDATE notification SET state = 'new'")
        )
        with engine.begin() as connection:
            assert connection.exec_driver_sql(again).rowcount == 1
        assert deliver(sender) == 1
    assert [got.id for got in inbox.got] == [id_of(found)] * 2
    assert inbox.got[0].body == inbox.got[1].body
    assert row(engine, found).state == "done"
    assert end(engine, found)["error"]["code"] == "notification_failed"


def test_a_dead_receiver_is_left_alone_and_the_rest_keep_their_attempts(engine: Engine) -> None:
    """One failed try a pause, whatever waits; all of it goes when the receiver is back."""
    port = free_port()
    found = [ask(engine, DONE, task_id=f"hook-{number}") for number in range(5)]
    sender = a_sender(engine, {"crm": f"http://127.0.0.1:{port}/"})
    assert deliver(sender) == 0
    assert [row(engine, one).attempts for one in found] == [1, 0, 0, 0, 0]
    assert sender.due() == []
    assert sender.deliver("crm") == 0
    failures, left_s = pauses(engine)["crm"]
    assert failures == 1
    assert 3 <= left_s <= 5
    let_time_pass(engine)
    deliver(sender)
    failures, left_s = pauses(engine)["crm"]
    assert failures == 2
    assert 8 <= left_s <= 10
    let_time_pass(engine)
    with receiving() as inbox:
        assert deliver(a_sender(engine, {"crm": inbox})) == 5
    assert pauses(engine) == {}


def test_one_webhook_that_is_refused_slows_no_other(engine: Engine) -> None:
    """A 4xx speaks of the webhook, not of its receiver."""
    bad, good = ask(engine, DONE, task_id="bad"), ask(engine, DONE, task_id="good")
    with receiving(Answer(status=400), Answer()) as inbox:
        assert deliver(a_sender(engine, {"crm": inbox})) == 1
    assert (row(engine, bad).state, row(engine, good).state) == ("new", "done")
    assert pauses(engine) == {}


def test_a_receiver_that_hangs_holds_up_no_other(engine: Engine) -> None:
    """While one drips, the next one is served, and nobody else waits for the one that drips."""
    for name in ("slow", "quick"):
        ask(engine, DONE, task_id=name, receiver=name)
    ask(engine, DONE, task_id="later", receiver="slow")
    backend = PinnedBackend(hosts_allowed=frozenset({"127.0.0.1"}), total_s=15)
    poster = Poster(hosts_allowed=frozenset({"127.0.0.1"}), backend=backend)
    with receiving(Answer(drip_s=0.05)) as slow, receiving() as quick:
        sender = a_sender(engine, {"slow": slow, "quick": quick}, poster=poster)
        hanging = threading.Thread(target=sender.deliver, args=("slow",))
        hanging.start()
        try:
            wait_until(lambda: slow.got, within_s=10, what="the one that hangs")
            assert sender.deliver("slow") == 0
            assert sender.deliver("quick") == 1
            assert hanging.is_alive()
        finally:
            slow.over.set()
            hanging.join(20)
    assert len(slow.got) == 1


def test_a_receiver_that_is_slow_gets_a_turn(engine: Engine) -> None:
    """It leaves its thread to others when that is over, and gets the rest at the next ones."""
    for number in range(6):
        ask(engine, DONE, task_id=f"hook-{number}")
    with receiving(Answer(late_s=0.2)) as inbox:
        sender = a_sender(engine, {"crm": inbox}, turn_s=0.3)
        turns = [deliver(sender) for _ in range(6)]
    assert 0 < turns[0] < 6
    assert sum(turns) == 6
    assert len({got.id for got in inbox.got}) == len(inbox.got) == 6


def test_a_sender_that_was_killed_is_followed_by_another(engine: Engine, database_url: str) -> None:
    """Killed while the receiver had it: when the lease is over it is sent again, under its id."""
    found = ask(engine, DONE)
    with receiving(Answer(drip_s=0.05), Answer()) as inbox:
        command = [sys.executable, "-m", "tests.notify.one_hook", database_url, inbox.url]
        root = Path(__file__).resolve().parents[2]
        with subprocess.Popen(command, cwd=root) as process:
            try:
                wait_until(lambda: inbox.got, within_s=30, what="the first try")
            finally:
                process.kill()
        sender = a_sender(engine, {"crm": inbox})
        assert deliver(sender) == 0
        let_time_pass(engine)
        assert deliver(sender) == 1
    assert [got.id for got in inbox.got] == [id_of(found)] * 2
    assert (row(engine, found).state, row(engine, found).attempts) == ("done", 2)


def test_a_sender_that_overslept_its_last_try_ends_nothing(engine: Engine) -> None:
    """Somebody else has it by then: that the first one was refused does not make a delivered webhook dead."""
    found = ask(engine, DONE)
    first, second = Answer(status=404, late_s=1), Answer(late_s=2)
    with receiving(first, second) as inbox, ThreadPoolExecutor(2) as pool:
        senders = [a_sender(engine, {"crm": inbox}, attempts_max=1) for _ in range(2)]
        slept = pool.submit(deliver, senders[0])
        wait_until(lambda: len(inbox.got) == 1, within_s=10, what="the first try")
        let_time_pass(engine)
        assert pool.submit(deliver, senders[1]).result(20) == 1
        assert slept.result(20) == 0
    assert row(engine, found).state == "done"
    assert "error" not in end(engine, found)


def test_a_job_that_was_tried_again_is_told_of_again(engine: Engine) -> None:
    """A receiver that heard of the failure hears of the answer, as an event of its own."""
    with receiving() as inbox:
        sender = a_sender(engine, {"crm": inbox})
        job = end_a_job(engine, answered=False)
        deliver(sender)
        end_again(engine, job)
        deliver(sender)
    failed, completed = map(verified, inbox.got)
    assert (failed.type, completed.type) == ("job.failed", "job.completed")
    assert failed.id != completed.id


def test_senders_side_by_side_send_each_webhook_once(engine: Engine) -> None:
    """Four notifiers over one outbox share the work and repeat none of it."""
    asked = {ask(engine, DONE, task_id=f"hook-{number}") for number in range(24)}
    with receiving() as inbox:
        senders = [a_sender(engine, {"crm": inbox}) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            ended = list(pool.map(deliver, senders))
    assert sum(ended) == len(asked)
    assert sorted(got.id for got in inbox.got) == sorted(map(id_of, asked))


def test_a_receiver_that_is_no_longer_named_is_waited_for(engine: Engine) -> None:
    """Nothing is lost, and it is said once which name is missing."""
    found = ask(engine, DONE)
    with receiving() as inbox, capture_logs() as told:
        sender = a_sender(engine, {"other": inbox})
        assert [deliver(sender) for _ in range(3)] == [0, 0, 0]
        assert row(engine, found).attempts == 0
        assert [(line["event"], line["receiver"]) for line in told] == [("unknown_receiver", "crm")]
        assert deliver(a_sender(engine, {"crm": inbox})) == 1


def test_no_log_line_holds_an_address_or_a_secret(engine: Engine) -> None:
    """Neither of a webhook that went nor of one that did not."""
    for number in range(3):
        ask(engine, DONE, task_id=f"hook-{number}")
    answers = [Answer(), Answer(status=400), Answer(status=410)]
    with receiving(*answers) as inbox, capture_logs() as told:
        deliver(a_sender(engine, {"crm": inbox}))
    assert {line["event"] for line in told} == {"webhook_sent", "webhook_later", "webhook_dead"}
    assert "127.0.0.1" not in str(told)
    assert "whsec" not in str(told)
