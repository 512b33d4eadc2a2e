"""One mail to one mail server, and exactly what came of it."""

import re
import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from app.policy.mail import one_line

#: Of one answer. One try is some fifteen of them at most, which a claim's lease has to outlast.
_TIMEOUT_S: Final = 10.0
#: A relay may look through a mail before it says yes; giving up sooner would leave it `unknown`.
_LAST_REPLY_TIMEOUT_S: Final = 60.0
_PORTS: Final = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_REASON_CHARACTERS_MAX: Final = 300
_OK: Final = 250
#: 251 is "not here, I will forward it".
_RECIPIENT_TAKEN: Final = frozenset({250, 251})
_START_INPUT: Final = 354
_PASSING: Final = range(400, 500)
_PERMANENT: Final = range(500, 600)
#: "Log in first" and the like speak of our settings, not of this mail: an operator can mend them.
_AUTHENTICATION: Final = frozenset({530, 534, 535, 538})


@dataclass(frozen=True, slots=True)
class Sent:
    """The server took the mail."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """A definite no: the server has no mail. `permanent` says that another try is useless."""

    reason: str
    permanent: bool
    #: Whether a server spoke with us at all; if not, no other mail can go either.
    reached: bool = True


@dataclass(frozen=True, slots=True)
class Unknown:
    """The mail was handed over and the reply was lost: the person may have it."""

    reason: str


Delivery = Sent | NotSent | Unknown


class SmtpSender:
    """Sends through `smtp://`, `smtps://` or `smtp+starttls://[user:password@]host[:port]`.

    Raises ValueError where the URL would send a mail in clear over a network. Reasons never name the
    recipient: they end in records that outlive the mail.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("UNHURRIED_SMTP_URL must be smtp://, smtps:// or smtp+starttls://host")
        if parts.scheme == "smtp" and parts.hostname not in _LOOPBACK:
            raise ValueError(
                "UNHURRIED_SMTP_URL: mail over a network needs TLS: use smtps:// or smtp+starttls://"
            )
        self._scheme = parts.scheme
        self._host = parts.hostname
        self._port = _port(parts)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password or "")
        if not f"{self._user}{self._password}".isascii():
            raise ValueError(
                "UNHURRIED_SMTP_URL: a mail server takes only an ASCII user and password"
            )

    def send(
        self, message: EmailMessage, *, sender: str, to: str, mark: Callable[[], bool]
    ) -> Delivery | None:
        """Try once. `mark` is called when the server has all but the final dot, and no mail without it.

        None where `mark` is false, and whatever it raises: then the server has no mail.
        """
        try:
            client = self._connect()
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            reason = _without(to, f"connect: {error}")
            return NotSent(reason, permanent=False, reached=False)
        try:
            refusal = _all_but_the_end(client, message, sender, to)
            if refusal is None and not mark():
                return None
            delivery = refusal or _final_dot(client, to)
            # What became of the mail is settled; whether the server hears our goodbye is not.
            with suppress(OSError, smtplib.SMTPException):
                client.quit()
            return delivery
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
        try:
            client.ehlo_or_helo_if_needed()
            if self._scheme == "smtp+starttls":
                client.starttls(context=context)
                client.ehlo()
            if self._user is not None:
                client.login(self._user, self._password)
        except BaseException:
            client.close()
            raise
        return client


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or _PORTS[parts.scheme]
    except ValueError:
        # The original names what it took for a port, which may be the end of a password.
        raise ValueError(
            "UNHURRIED_SMTP_URL: no such port; write / and : in a password as %2F and %3A"
        ) from None


def _all_but_the_end(
    client: smtplib.SMTP, message: EmailMessage, sender: str, to: str
) -> NotSent | None:
    """Envelope, then data. Until the final dot is out, whatever happens is a definite no."""
    try:
        code, said = client.mail(sender)
        if code != _OK:
            return _refused(code, said, to)
        code, said = client.rcpt(to)
        if code not in _RECIPIENT_TAKEN:
            return _refused(code, said, to)
        code, said = client.docmd("data")
        if code != _START_INPUT:
            return _refused(code, said, to)
        client.send(_stuffed(bytes(message)))
    except (OSError, smtplib.SMTPException) as error:
        return NotSent(_without(to, f"before the end of the data: {error}"), permanent=False)
    return None


def _final_dot(client: smtplib.SMTP, to: str) -> Delivery:
    try:
        if client.sock is not None:
            client.sock.settimeout(_LAST_REPLY_TIMEOUT_S)
        client.send(b".\r\n")
        code, said = client.getreply()
    except (OSError, smtplib.SMTPException) as error:
        return Unknown(_without(to, f"after the data: {error}"))
    if code == _OK:
        return Sent()
    if code in _PASSING or code in _PERMANENT:
        return _refused(code, said, to)
    return Unknown(_without(to, f"after the data: {code} {said.decode('utf-8', 'replace')}"))


def _stuffed(data: bytes) -> bytes:
    """The data with its leading dots doubled, as RFC 5321 4.5.2 has it, up to the final one."""
    stuffed = re.sub(rb"(?m)^\.", b"..", data)
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"


def _refused(code: int, said: bytes, to: str) -> NotSent:
    reason = _without(to, f"{code} {said.decode('utf-8', 'replace')}")
    return NotSent(reason, permanent=code in _PERMANENT and code not in _AUTHENTICATION)


def _without(to: str, text: str) -> str:
    """The server's words as one short line that does not name the recipient."""
    anonymous = re.sub(re.escape(to), "the recipient", text, flags=re.IGNORECASE)
    return one_line(anonymous)[:_REASON_CHARACTERS_MAX]
