"""The mail catcher of the demo and the tests."""

import os
import smtplib
import sys
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from dev import mail_sink
from dev.processes import Process
from dev.servers import free_port
from tests.support.waiting import wait_until


def _mail(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", subject
    message.set_content("Grüße\n.\n")
    return message


def _send(port: int, *subjects: str) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        for subject in subjects:
            client.send_message(_mail(subject))


def test_every_accepted_mail_is_a_file(tmp_path: Path) -> None:
    """One `.eml` file a mail, as it was sent, and there when the sender hears `250`."""
    port = free_port()
    controller = mail_sink.start(tmp_path / "mails", port=port)
    try:
        _send(port, "first", "second")
    finally:
        controller.stop()

    kept = [
        message_from_bytes(path.read_bytes(), policy=default) for path in tmp_path.glob("mails/*")
    ]
    assert {"first", "second"} == {message["Subject"] for message in kept}
    assert {"Grüße\r\n.\r\n"} == {message.get_content() for message in kept}


def test_the_catcher_runs_by_itself(tmp_path: Path) -> None:
    """`python -m dev.mail_sink` says when it listens, and ends at SIGTERM by itself."""
    port = free_port()
    process = Process(
        name="mail_sink",
        command=[
            *(sys.executable, "-m", "dev.mail_sink"),
            *("--port", str(port), "--directory", str(tmp_path / "mails")),
        ],
        log=tmp_path / "mail_sink.log",
        environment=dict(os.environ),
    )
    with process:
        wait_until(lambda: "ready" in process.tail(), within_s=20, what="the mail catcher")
        _send(port, "by itself")

    assert process.wait(within_s=0) == 0
    assert len(list(tmp_path.glob("mails/*.eml"))) == 1
