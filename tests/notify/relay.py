"""Mail servers whose answers a test decides: a real one, and one that hangs up where it is told."""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Final, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from dev.servers import free_port

CERTIFICATE: Final = Path(__file__).parent / "loopback.pem"
PASSWORD: Final = "pa/ss:word"
#: In place of an answer: the mail is kept, and the connection is cut before anybody hears so.
LOST: Final = "lost"
_TAKEN: Final = "250 taken"
_SERVE_S: Final = 20

Phase = Literal["greeting", "ehlo", "mail", "rcpt", "data", "dot"]
_PHASES: Final[dict[bytes, Phase]] = {
    b"ehlo": "ehlo",
    b"mail": "mail",
    b"rcpt": "rcpt",
    b"data": "data",
}
_ANSWERS: Final[dict[Phase, bytes]] = {
    "greeting": b"220 here",
    "ehlo": b"250 here",
    "mail": b"250 go on",
    "rcpt": b"250 go on",
    "data": b"354 go on",
    "dot": b"250 taken",
}


@dataclass
class Relay:
    """An aiosmtpd server: answers to RCPT and DATA one after the other, then it takes everything."""

    rcpt: Sequence[str] = ()
    data: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    #: Every mail whose data came to its final dot, whatever was answered.
    mails: list[EmailMessage] = field(default_factory=list)
    #: Of every RCPT.
    recipients: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is, for a sender."""
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Say the next answer to a recipient."""
        answer = _at(self.rcpt, len(self.recipients))
        self.recipients.append(address)
        if answer == _TAKEN:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the mail and say the next answer to one."""
        answer = _at(self.data, len(self.mails))
        parsed = message_from_bytes(envelope.original_content, policy=default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        if answer == LOST:
            server.transport.abort()
        return answer


def _at(answers: Sequence[str], index: int) -> str:
    return answers[index] if index < len(answers) else _TAKEN


@contextmanager
def running(
    relay: Relay, *, tls: Literal["none", "offered", "implicit"] = "none", login: bool = False
) -> Iterator[Relay]:
    """Listen until the end of the block. `login` takes `ann` with `PASSWORD`, over TLS."""
    context = None
    if tls != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE)
    controller = Controller(
        relay,
        hostname="127.0.0.1",
        port=relay.port,
        server_hostname="localhost",
        ready_timeout=_SERVE_S,
        ssl_context=context if tls == "implicit" else None,
        tls_context=context if tls == "offered" else None,
        authenticator=_authenticate if login else None,
        auth_required=login,
    )
    controller.start()
    try:
        yield relay
    finally:
        controller.stop()


def _authenticate(
    _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any
) -> AuthResult:
    right = given == LoginPassword(b"ann", PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@contextmanager
def scripted(answers: Mapping[Phase, bytes | None]) -> Iterator[str]:
    """A server for one connection that gives these answers, or hangs up at None; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_SERVE_S)
        thread = threading.Thread(target=_serve, args=(listener, {**_ANSWERS, **answers}))
        thread.start()
        yield f"smtp://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(_SERVE_S)


def _serve(listener: socket.socket, answers: Mapping[Phase, bytes | None]) -> None:
    connection, _ = listener.accept()
    connection.settimeout(_SERVE_S)
    with connection, connection.makefile("rb") as lines:
        phase: Phase = "greeting"
        in_data = False
        while (answer := answers[phase]) is not None:
            connection.sendall(answer + b"\r\n")
            in_data = phase == "data" and answer.startswith(b"354")
            found = _next_phase(lines, in_data=in_data)
            if found is None:
                return
            phase = found


def _next_phase(lines: Any, *, in_data: bool) -> Phase | None:
    for line in lines:
        if in_data and line == b".\r\n":
            return "dot"
        if not in_data:
            return _PHASES.get(line[:4].lower())
    return None
