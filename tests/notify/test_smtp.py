"""One try at one mail server, and which of three ends it came to."""

from collections.abc import Callable
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from urllib.parse import quote

import pytest

from app.notify.smtp import Delivery, NotSent, Sent, SmtpSender, Unknown
from dev.servers import free_port
from tests.notify.mails import TO
from tests.notify.relay import CERTIFICATE, PASSWORD, Phase, Relay, running, scripted

TEXT = "Hello\n.\n..\n.hidden\n\n.\n"


def a_mail() -> EmailMessage:
    """A mail with lines that could be taken for its end."""
    message = EmailMessage(policy=SMTP)
    message["To"] = Address(addr_spec=TO)
    message["Message-ID"] = "<1@service.example>"
    message.set_content(TEXT)
    return message


def send(url: str) -> Delivery:
    """Try once."""
    delivery = send_marked(url, lambda: True)
    assert delivery is not None
    return delivery


def send_marked(url: str, mark: Callable[[], bool]) -> Delivery | None:
    """Try once, and ask before the end."""
    return SmtpSender(url).send(a_mail(), sender="unhurried@service.example", to=TO, mark=mark)


def test_a_taken_mail_arrives_dot_for_dot(relay: Relay) -> None:
    """Lines of dots are part of the mail, not its end, and there is one recipient."""
    assert send(relay.url) == Sent()
    (kept,) = relay.mails
    assert kept.get_content().replace("\r\n", "\n") == TEXT
    assert relay.recipients == [TO]


@pytest.mark.parametrize("where", ["rcpt", "data"])
@pytest.mark.parametrize(
    ("answer", "permanent"),
    [("451 come back later", False), ("550 <Ann@Example.org> is unknown here", True)],
)
def test_a_spoken_no_is_definite_and_its_class_says_for_how_long(
    *, where: str, answer: str, permanent: bool
) -> None:
    """4xx may pass and 5xx does not, before the data and after it; nobody's address is repeated."""
    scripts: dict[str, Any] = {where: [answer]}
    with running(Relay(**scripts)) as relay:
        ended = send(relay.url)
    assert isinstance(ended, NotSent)
    assert ended.permanent is permanent
    assert ended.reason.startswith(answer[:3])
    assert "example.org" not in ended.reason.lower()


@pytest.mark.parametrize("phase", ["greeting", "ehlo", "mail", "rcpt", "data"])
@pytest.mark.parametrize("answer", [None, b"421 closing", b"no number"])
def test_whatever_breaks_before_the_final_dot_is_a_no_that_may_pass(
    phase: Phase, answer: bytes | None
) -> None:
    """Hung up, shutting down or talking nonsense: the server has no mail."""
    with scripted({phase: answer}) as url:
        ended = send(url)
    assert isinstance(ended, NotSent)
    assert not ended.permanent
    assert ended.reached is (phase not in {"greeting", "ehlo"})


@pytest.mark.parametrize("answer", [None, b"no number", b"354 more?", b"250" + b"x" * 9000])
def test_no_clear_answer_after_the_final_dot_is_unknown(answer: bytes | None) -> None:
    """The server may have the mail: only a clear no says that it has not."""
    with scripted({"dot": answer}) as url:
        ended = send(url)
    assert isinstance(ended, Unknown)


@pytest.mark.parametrize(
    ("answer", "permanent"), [(b"452 full", False), (b"554 not this one", True)]
)
def test_a_clear_no_after_the_final_dot_is_a_no(*, answer: bytes, permanent: bool) -> None:
    """The server said that it did not keep it."""
    with scripted({"dot": answer}) as url:
        ended = send(url)
    assert isinstance(ended, NotSent)
    assert ended.permanent is permanent


def test_a_mail_that_may_not_be_marked_never_ends_at_the_server(relay: Relay) -> None:
    """Somebody else took it over, or the ledger is away: the server has the data and no mail."""

    def away() -> bool:
        raise ConnectionError

    assert send_marked(relay.url, lambda: False) is None
    with pytest.raises(ConnectionError):
        send_marked(relay.url, away)
    assert len(relay.recipients) == 2
    assert not relay.mails


@pytest.mark.parametrize("phase", ["greeting", "mail", "rcpt", "data"])
def test_nothing_is_marked_that_the_server_did_not_let_in(phase: Phase) -> None:
    """The mark says that the server may have the mail: not before it could."""
    marked: list[Phase] = []

    def mark() -> bool:
        marked.append(phase)
        return True

    with scripted({phase: b"451 busy"}) as url:
        assert isinstance(send_marked(url, mark), NotSent)
    assert not marked


def test_nobody_listening_is_a_no_of_the_server_and_not_of_the_mail() -> None:
    """Nothing was reached, so no other mail can go either."""
    ended = send(f"smtp://127.0.0.1:{free_port()}")
    assert isinstance(ended, NotSent)
    assert not ended.permanent
    assert not ended.reached


def test_a_reason_is_one_short_line() -> None:
    """What a server says is kept in a text column, whatever bytes it chose."""
    with scripted({"rcpt": b"550 \x00\xff\xe2\x80\xa8" + b"x" * 2000}) as url:
        ended = send(url)
    assert isinstance(ended, NotSent)
    assert len(ended.reason) <= 300
    assert len(ended.reason.splitlines()) == 1
    assert "\x00" not in ended.reason


def test_a_user_and_a_password_are_taken_from_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Percent-encoded, so that a password may hold what ends a URL's part."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    user = f"ann:{quote(PASSWORD, safe='')}"
    with running(Relay(), tls="offered", login=True) as relay:
        assert send(f"smtp+starttls://{user}@localhost:{relay.port}") == Sent()


@pytest.mark.parametrize("user", ["", "ann:wrong@"])
def test_a_login_that_is_wanted_can_be_mended(monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    """530 and 535 speak of our settings: the mail waits for an operator, it does not die."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with running(Relay(), tls="offered", login=True) as relay:
        ended = send(f"smtp+starttls://{user}localhost:{relay.port}")
    assert isinstance(ended, NotSent)
    assert "53" in ended.reason
    assert not ended.permanent
    assert not relay.mails


@pytest.mark.parametrize(("scheme", "tls"), [("smtps", "implicit"), ("smtp+starttls", "offered")])
def test_a_mail_goes_over_tls_to_a_server_that_proves_its_name(
    monkeypatch: pytest.MonkeyPatch, scheme: str, tls: Any
) -> None:
    """The machine's trusted certificates decide, here those that SSL_CERT_FILE names."""
    with running(Relay(), tls=tls) as relay:
        refused = send(f"{scheme}://localhost:{relay.port}")
        assert isinstance(refused, NotSent)
        assert "CERTIFICATE_VERIFY_FAILED" in refused.reason
        assert not relay.mails
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert isinstance(send(f"{scheme}://127.0.0.1:{relay.port}"), NotSent)
        assert not relay.mails
        assert send(f"{scheme}://localhost:{relay.port}") == Sent()


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_a_server_without_tls_gets_no_mail_in_clear(relay: Relay, scheme: str) -> None:
    """Asked for TLS, a sender never does without."""
    ended = send(f"{scheme}://127.0.0.1:{relay.port}")
    assert isinstance(ended, NotSent)
    assert not ended.permanent
    assert not relay.recipients


@pytest.mark.parametrize(
    "url",
    [
        "smtp://mail.example.org",
        "smtp://10.0.0.7:25",
        "http://127.0.0.1",
        "smtps://",
        "mail.example.org:587",
        "smtps://ann:pa/ss@mail.example.org",
        "smtps://ann:pässword@mail.example.org",
    ],
)
def test_a_url_that_cannot_be_right_is_refused_without_its_password(url: str) -> None:
    """Clear text over a network, another protocol, no host, a password cut in two."""
    with pytest.raises(ValueError, match="UNHURRIED_SMTP_URL") as refusal:
        SmtpSender(url)
    assert "ann" not in str(refusal.value)
    assert "pa" not in str(refusal.value).replace("password", "")
