"""One mail to one mail server, and exactly what came of it."""

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final
from urllib.parse import unquote, urlsplit

_TIMEOUT_S: Final = 10.0
_PORTS: Final = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_PERMANENT: Final = 500
_OK: Final = 250
#: 251 is "not here, I will forward it".
_RECIPIENT_TAKEN: Final = frozenset({250, 251})


@dataclass(frozen=True, slots=True)
class Sent:
    """The server took the mail."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """A definite no: the server has no mail. `permanent` says that another try is useless."""

    reason: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """The mail was handed over and the reply was lost: the person may have it."""

    reason: str


Delivery = Sent | NotSent | Unknown


class SmtpSender:
    """Sends through `smtp://`, `smtps://` or `smtp+starttls://[user:password@]host[:port]`.

    Raises ValueError where the URL would send a mail in clear over a network.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("UNHURRIED_SMTP_URL must be smtp://, smtps:// or smtp+starttls://host")
        if parts.scheme == "smtp" and parts.hostname not in _LOOPBACK:
            raise ValueError("mail over a network needs TLS: use smtps:// or smtp+starttls://")
        self._scheme = parts.scheme
        self._host = parts.hostname
        self._port = parts.port or _PORTS[parts.scheme]
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password or "")

    def send(self, message: EmailMessage, *, sender: str, to: str) -> Delivery:
        """Try once."""
        try:
            client = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            return NotSent(f"connect: {error}", permanent=False)
        try:
            return _hand_over(client, message, sender, to)
        finally:
            client.close()

    def _connect(self) -> smtplib.SMTP:
        # The default of smtplib is to verify nothing.
        context = ssl.create_default_context()
        client: smtplib.SMTP
        if self._scheme == "smtps":
            client = smtplib.SMTP_SSL(self._host, self._port, timeout=_TIMEOUT_S, context=context)
        else:
            client = smtplib.SMTP(self._host, self._port, timeout=_TIMEOUT_S)
        client.ehlo_or_helo_if_needed()
        if self._scheme == "smtp+starttls":
            client.starttls(context=context)
            client.ehlo()
        if self._user is not None:
            client.login(self._user, self._password)
        return client


def _hand_over(client: smtplib.SMTP, message: EmailMessage, sender: str, to: str) -> Delivery:
    """Envelope, then data. Until the final dot is out, whatever happens is a definite no."""
    try:
        code, said = client.mail(sender)
        if code != _OK:
            return _refused(code, said)
        code, said = client.rcpt(to)
        if code not in _RECIPIENT_TAKEN:
            return _refused(code, said)
        code, said = client.docmd("data")
        if code != 354:  # noqa: PLR2004 - "start mail input" of RFC 5321
            return _refused(code, said)
    except (OSError, smtplib.SMTPException) as error:
        return NotSent(f"before the data: {error}", permanent=False)
    return _data(client, message)


def _data(client: smtplib.SMTP, message: EmailMessage) -> Delivery:
    body = message.as_bytes(policy=SMTP.clone(max_line_length=998))
    stuffed = body.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    ended = stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"
    try:
        client.send(ended)
    except (OSError, smtplib.SMTPException) as error:
        return NotSent(f"in the data: {error}", permanent=False)
    try:
        client.send(b".\r\n")
        code, said = client.getreply()
    except (OSError, smtplib.SMTPException) as error:
        return Unknown(f"after the data: {error}")
    return Sent() if code == _OK else _refused(code, said)


def _refused(code: int, said: bytes) -> NotSent:
    text = said.decode("utf-8", "replace")[:200]
    return NotSent(f"{code} {text}", permanent=code >= _PERMANENT)
