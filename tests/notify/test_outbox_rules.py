"""What the outbox holds to: whom it may write to, what it says in the log, what it leaves alone."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from app.notify.compose import Composer
from dev.servers import free_port
from tests.notify.mails import SENDER, TO, an_outbox, ask, end, let_time_pass, row
from tests.notify.relay import LOST, Relay, running


@pytest.mark.parametrize(
    ("allowed", "sent"),
    [
        ([], True),
        (["EXAMPLE.org"], True),
        (["other.example", "example.org"], True),
        (["example.com"], False),
        (["org"], False),
    ],
)
def test_only_domains_that_are_allowed_are_written_to(
    engine: Engine, relay: Relay, allowed: list[str], *, sent: bool
) -> None:
    """Letter case apart, a domain is itself; elsewhere the mail is dead, and says which setting."""
    found = ask(engine)
    assert an_outbox(engine, relay.url, domains_allowed=allowed).deliver_due() == 1
    assert bool(relay.recipients) is sent
    assert row(engine, found).state == ("done" if sent else "dead")
    if not sent:
        assert "UNHURRIED_MAIL_DOMAINS_ALLOWED" in end(engine, found)["error"]["message"]


def test_a_staged_address_that_is_two_reaches_neither(engine: Engine, relay: Relay) -> None:
    """`notify=` is checked again where it counts, and no other mail waits behind it."""
    bad = [
        ask(engine, task_id=f"bad-{index}", payload={"to": to, "about": {"jobs": 1}})
        for index, to in enumerate(
            [f"{TO}, eve@example.org", f"{TO}\r\nRCPT TO:<eve@x.org>", f"{TO}\x00", None]
        )
    ]
    good = ask(engine, task_id="good")
    assert an_outbox(engine, relay.url).deliver_due() == 5
    assert relay.recipients == [TO]
    assert {row(engine, found).state for found in bad} == {"dead"}
    assert row(engine, good).state == "done"


def test_a_bad_template_waits_for_its_operator_and_stops_no_other(
    engine: Engine, relay: Relay, tmp_path: Path
) -> None:
    """It was not sent, so it is tried again, and goes once the template is mended."""
    (tmp_path / "notes.txt").write_text("{{ misspelt }}")
    composer = Composer(sender=SENDER, templates_directory=tmp_path)
    broken = ask(engine, task_id="broken", template="notes")
    ask(engine, task_id="whole")
    assert an_outbox(engine, relay.url, composer=composer).deliver_due() == 1
    waiting = row(engine, broken)
    assert waiting.state == "new"
    assert "misspelt" in waiting.last_error
    (tmp_path / "notes.txt").write_text("Your notes.")
    let_time_pass(engine)
    mended = Composer(sender=SENDER, templates_directory=tmp_path)
    assert an_outbox(engine, relay.url, composer=mended).deliver_due() == 1
    assert len(relay.mails) == 2


def test_without_a_mail_server_mails_wait_and_it_is_said_once(engine: Engine, relay: Relay) -> None:
    """Nothing is tried and nothing is lost: they go when there is a server."""
    found = ask(engine)
    outbox = an_outbox(engine, None)
    with capture_logs() as told:
        assert [outbox.deliver_due() for _ in range(3)] == [0, 0, 0]
    assert [(line["event"], line["log_level"]) for line in told] == [("no_mail_server", "warning")]
    assert "UNHURRIED_SMTP_URL" in told[0]["remedy"]
    assert (row(engine, found).state, row(engine, found).attempts) == ("new", 0)
    assert an_outbox(engine, relay.url).deliver_due() == 1


def test_a_server_that_is_down_costs_one_attempt_and_not_everybodys(engine: Engine) -> None:
    """The run ends at the first mail that finds nobody there; the others were not tried."""
    asked = [ask(engine, task_id=f"mail-{number}") for number in range(5)]
    assert an_outbox(engine, f"smtp://127.0.0.1:{free_port()}").deliver_due() == 0
    assert sorted(row(engine, found).attempts for found in asked) == [0, 0, 0, 0, 1]
    assert {row(engine, found).state for found in asked} == {"new"}


def test_no_transaction_is_open_while_a_mail_server_talks(engine: Engine) -> None:
    """A slow server holds no row and no connection of the ledger."""
    open_ones: list[int] = []

    class Watching(Relay):
        """Looks at the ledger's sessions in the middle of a mail."""

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
            open_ones.append(_transactions(engine))
            return await super().handle_DATA(server, session, envelope)

    with running(Watching()) as relay:
        ask(engine)
        assert an_outbox(engine, relay.url).deliver_due() == 1
    assert open_ones == [0]


def _transactions(engine: Engine) -> int:
    with engine.connect() as connection:
        found: int = connection.execute(
            text("""
                SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND xact_start IS NOT NULL
                  AND pid <> pg_backend_pid()
            """)
        ).scalar_one()
        return found


@pytest.mark.parametrize(
    ("answers", "events"),
    [
        ({}, ["mail_sending", "mailed"]),
        ({"rcpt": [f"451 <{TO}> is busy"]}, ["mail_later"]),
        ({"rcpt": [f"550 <{TO}> is unknown"]}, ["mail_dead"]),
        ({"data": [LOST]}, ["mail_sending", "mail_unknown"]),
    ],
)
def test_the_log_tells_each_step_by_its_id_and_never_whom(
    engine: Engine, answers: dict[str, Any], events: list[str]
) -> None:
    """That a server may have the mail from now on, and how the try ended."""
    with running(Relay(**answers)) as relay, capture_logs() as told:
        found = ask(engine, subject="About Ann's divorce")
        an_outbox(engine, relay.url).deliver_due()
    assert [line["event"] for line in told] == events
    assert {line["notification_id"] for line in told} == {str(found)}
    assert TO not in repr(told)
    assert "divorce" not in repr(told)


def test_a_payload_never_holds_what_was_answered(engine: Engine, relay: Relay) -> None:
    """Neither the ledger's row nor the mail repeats an output that the chord handed over."""
    secret = "the quarter was a disaster"
    results = [{"schema": 1, "output": secret, "model": secret}]
    found = ask(engine, results, link="https://app.example/1")
    assert an_outbox(engine, relay.url).deliver_due() == 1
    (mail,) = relay.mails
    assert secret.encode() not in bytes(row(engine, found).payload)
    assert secret not in mail.as_string()
