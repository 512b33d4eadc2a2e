"""The outbox against real mail servers: what each end of a try becomes in the ledger."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from sqlalchemy import Engine

from app.ledger import engine as ledger
from app.ledger import notifications
from tests.notify.mails import TO, an_outbox, ask, end, let_time_pass, row
from tests.notify.relay import LOST, Relay, running
from tests.support.waiting import wait_until

PASSED: dict[str, Any] = {"schema": 1, "effective_until": "2026-01-01T00:00:00Z"}


def until_nothing_moves(engine: Engine, url: str, **rules: Any) -> int:
    """Days pass and the notifier runs; how many mails ended."""
    outbox = an_outbox(engine, url, **rules)
    ended = 0
    for _ in range(15):
        let_time_pass(engine)
        outbox.recover()
        ended += outbox.deliver_due()
    return ended


def claim_and_die(engine: Engine) -> None:
    """Take a mail as a sender does that is killed at once."""
    with engine.begin() as connection:
        now = ledger.now(connection)
        assert notifications.claim(connection, at=now, lease=timedelta(minutes=5))


def test_a_mail_is_sent_once_and_completes_its_ticket(engine: Engine, relay: Relay) -> None:
    """However often the notifier runs, its person gets one mail and its task one receipt."""
    found = ask(engine, {"jobs": 79, "failed": 3})
    assert until_nothing_moves(engine, relay.url) == 1
    (mail,) = relay.mails
    assert mail["To"] == TO
    assert mail["Subject"] == "Ready, 3 of 79 could not be done"
    assert str(found) in mail["Message-ID"]
    assert end(engine, found) == {"schema": 1, "notification_id": str(found)}
    now = row(engine, found)
    assert (now.state, now.attempts) == ("done", 1)
    assert now.sent_at is not None


def test_asking_again_for_the_same_mail_is_one_mail(engine: Engine, relay: Relay) -> None:
    """A message that is delivered twice to intake asks for one notification."""
    ask(engine)
    ask(engine)
    assert until_nothing_moves(engine, relay.url) == 1
    assert len(relay.mails) == 1


def test_what_expired_while_it_waited_is_not_called_ready(engine: Engine, relay: Relay) -> None:
    """The variant is chosen when the mail is sent, not when it was asked for."""
    ask(engine, PASSED, subject="Your notes are ready")
    assert an_outbox(engine, relay.url).deliver_due() == 1
    (mail,) = relay.mails
    assert "expired" in mail["Subject"]
    assert "ready" not in mail.as_string().lower()


def test_a_passing_no_is_tried_again_on_the_schedule(engine: Engine) -> None:
    """4xx at the recipient, then at the data, then taken: one mail, with the id it had before."""
    with running(Relay(rcpt=["451 busy"], data=["452 full"])) as relay:
        found = ask(engine)
        outbox = an_outbox(engine, relay.url)
        for attempt, wait_s in ((1, 5), (2, 300)):
            assert outbox.deliver_due() == 0
            waiting = row(engine, found)
            assert (waiting.state, waiting.attempts) == ("new", attempt)
            assert wait_s - 2 <= waiting.due_in.total_seconds() <= wait_s
            assert outbox.deliver_due() == 0
            assert row(engine, found).attempts == attempt
            let_time_pass(engine)
        assert outbox.deliver_due() == 1
    refused, taken = relay.mails
    assert refused["Message-ID"] == taken["Message-ID"]
    assert row(engine, found).state == "done"


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_a_final_no_is_never_tried_again(engine: Engine, where: str) -> None:
    """5xx makes the mail dead and fails its task, without the address it was for."""
    scripts: dict[str, Any] = {where: [f"550 <{TO}> is unknown here"]}
    with running(Relay(**scripts)) as relay:
        found = ask(engine)
        assert until_nothing_moves(engine, relay.url) == 1
        assert len(relay.recipients) == 1
    assert row(engine, found).state == "dead"
    error = end(engine, found)["error"]
    assert error["code"] == "notification_failed"
    assert "550" in error["message"]
    assert TO not in error["message"]


def test_a_no_that_never_passes_ends_after_the_last_attempt(engine: Engine) -> None:
    """As many tries as the setting says, and no more."""
    with running(Relay(rcpt=["451 busy"] * 20)) as relay:
        found = ask(engine)
        assert until_nothing_moves(engine, relay.url, attempts_max=4) == 1
        assert len(relay.recipients) == 4
    assert (row(engine, found).state, row(engine, found).attempts) == ("dead", 4)


def test_a_lost_reply_is_unknown_and_never_sent_again(engine: Engine) -> None:
    """The server kept the mail and died before it said so: a second try would be a second mail."""
    with running(Relay(data=[LOST])) as relay:
        found = ask(engine)
        assert until_nothing_moves(engine, relay.url) == 1
        assert len(relay.mails) == 1
    assert row(engine, found).state == "unknown"
    assert end(engine, found) == {
        "schema": 1,
        "notification_id": str(found),
        "delivery": "unknown",
    }


class Mute(Relay):
    """Takes mails whole and never says so."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the mail, and the sender waiting."""
        await super().handle_DATA(server, session, envelope)
        await asyncio.Event().wait()
        raise AssertionError


def test_a_sender_killed_after_the_end_of_the_data_leaves_an_unknown_mail(
    engine: Engine, database_url: str, relay: Relay
) -> None:
    """From the mark on nobody can say; within its lease it is left alone, afterwards it is held."""
    found = ask(engine)
    with running(Mute()) as mute:
        _kill_once(lambda: bool(mute.mails), database_url, mute.url)
    outbox = an_outbox(engine, relay.url)
    assert (outbox.recover(), outbox.deliver_due()) == (0, 0)
    assert row(engine, found).state == "sending"
    let_time_pass(engine)
    assert (outbox.recover(), outbox.deliver_due()) == (1, 0)
    assert end(engine, found)["delivery"] == "unknown"
    assert until_nothing_moves(engine, relay.url) == 0
    assert not relay.recipients


def test_a_sender_killed_in_conversation_loses_nothing(
    engine: Engine, database_url: str, relay: Relay
) -> None:
    """It had connected, and the server had no mail yet: the next sender has it after the lease."""
    found = ask(engine)
    with create_server(("127.0.0.1", 0)) as silent, ExitStack() as conversations:
        silent.settimeout(30)

        def there() -> bool:
            connection, _ = silent.accept()
            conversations.enter_context(connection)
            return True

        _kill_once(there, database_url, f"smtp://127.0.0.1:{silent.getsockname()[1]}")
    assert row(engine, found).state == "new"
    assert until_nothing_moves(engine, relay.url) == 1
    assert (row(engine, found).state, row(engine, found).attempts) == ("done", 2)
    assert len(relay.mails) == 1


def _kill_once(there: Callable[[], bool], database_url: str, smtp_url: str) -> None:
    command = [sys.executable, "-m", "tests.notify.one_run", database_url, smtp_url]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root) as process:
        try:
            wait_until(there, within_s=30, what="the server to have what it waits for")
        finally:
            process.kill()


def test_a_sender_killed_before_its_mark_loses_nothing(engine: Engine, relay: Relay) -> None:
    """A claim alone tells nobody anything: when its lease is over, another sender has the mail."""
    found = ask(engine)
    claim_and_die(engine)
    outbox = an_outbox(engine, relay.url)
    assert (outbox.recover(), outbox.deliver_due()) == (0, 0)
    let_time_pass(engine)
    assert (outbox.recover(), outbox.deliver_due()) == (0, 1)
    assert (row(engine, found).state, row(engine, found).attempts) == ("done", 2)
    assert len(relay.mails) == 1


def test_senders_side_by_side_send_each_mail_once(engine: Engine, relay: Relay) -> None:
    """Four notifiers over one outbox share the work and repeat none of it."""
    asked = {ask(engine, task_id=f"mail-{number}") for number in range(24)}
    outboxes = [an_outbox(engine, relay.url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda outbox: outbox.deliver_due(), outboxes))
    assert sum(ended) == len(asked)
    ids = [str(mail["Message-ID"]) for mail in relay.mails]
    assert sorted(ids) == sorted(f"<{found}@service.example>" for found in asked)
