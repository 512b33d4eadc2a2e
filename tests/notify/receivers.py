"""Receivers of webhooks whose answers a test decides: real HTTP servers on loopback."""

import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.notify.relay import CERTIFICATE

_SERVE_S: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One reply. `lost` keeps the webhook and cuts the connection before anybody hears so."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    lost: bool = False
    #: Think about it for so long first.
    late_s: float = 0
    #: Send one byte of a header every so often, and never an end.
    drip_s: float | None = None


@dataclass(frozen=True, slots=True)
class Got:
    """A webhook as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: datetime

    @property
    def id(self) -> str:
        """By which a receiver knows a repetition."""
        return self.headers["webhook-id"]


@dataclass
class Inbox:
    """What came, and what is answered: one answer after the other, then the last one for ever."""

    answers: Sequence[Answer] = (Answer(),)
    #: So many are refused first, whatever the answers are.
    refuse_next: int = 0
    got: list[Got] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"
    #: Set when the test is over: whoever drips may stop.
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it is, for a sender."""
        return f"{self.scheme}://127.0.0.1:{self.port}/hook?for=17"

    def next(self) -> Answer:
        """The answer to the newest webhook."""
        if self.refuse_next > 0:
            self.refuse_next -= 1
            return Answer(status=500)
        return self.answers[min(len(self.got), len(self.answers)) - 1]


@contextmanager
def receiving(*answers: Answer, tls: bool = False) -> Iterator[Inbox]:
    """Listen until the end of the block."""
    inbox = Inbox(answers=answers or (Answer(),), scheme="https" if tls else "http")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(inbox))
    server.daemon_threads = True
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    inbox.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield inbox
    finally:
        inbox.over.set()
        server.shutdown()
        server.server_close()
        thread.join(_SERVE_S)


def _handler(inbox: Inbox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Keeps what comes and says what it is told."""

        timeout = _SERVE_S

        def do_POST(self) -> None:
            """Keep it, then answer."""
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            inbox.got.append(Got(self.path, headers, body, datetime.now(UTC)))
            self._answer(inbox.next())

        def _answer(self, answer: Answer) -> None:
            inbox.over.wait(answer.late_s)
            if answer.lost:
                self.close_connection = True
                return
            if answer.drip_s is not None:
                self._drip(answer.drip_s)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def _drip(self, every_s: float) -> None:
            self.close_connection = True
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
                while not inbox.over.wait(every_s):
                    self.wfile.write(b".")
            except OSError:
                return  # the sender has had enough, which is what is looked for

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
