"""A loopback HTTP server that answers each request as the test says, faults of the wire included."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: No silence outlasts this, whatever becomes of the test.
SILENCE_S = 10


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Reply:
    """What to answer: `length` is the Content-Length to state, None for none at all."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = -1


@dataclass(frozen=True)
class Drop:
    """Close the connection without a word, after the request was read."""


@dataclass(frozen=True)
class Reset:
    """Reset the connection, after the request was read."""


Answer = Reply | Drop | Reset
Script = Callable[[Seen], Answer]


@dataclass
class Server:
    """A running server and what it saw."""

    url: str
    seen: list[Seen] = field(default_factory=list)
    connections: list[object] = field(default_factory=list)
    script: Script = lambda _: Reply()

    def answers(self, *answers: Answer) -> None:
        """Answer in turn; the last one for ever."""
        left = list(answers)
        self.script = lambda _: left.pop(0) if len(left) > 1 else left[0]

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Answer nothing until the block ends."""
        over = threading.Event()

        def wait(_: Seen) -> Answer:
            over.wait(SILENCE_S)
            return Drop()

        self.script = wait
        try:
            yield
        finally:
            over.set()

    def paths(self) -> Sequence[str]:
        return [f"{request.method} {request.path}" for request in self.seen]


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            server.connections.append(self.client_address)

        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            seen = Seen(
                self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body
            )
            server.seen.append(seen)
            answer = server.script(seen)
            if isinstance(answer, Reply):
                self._send(answer)
                return
            if isinstance(answer, Reset):
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            self.close_connection = True
            self.connection.close()

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            length = len(reply.body) if reply.length == -1 else reply.length
            if length is None or length != len(reply.body):
                self.close_connection = True
                self.send_header("Connection", "close")
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names that the standard library calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free port, for the length of the block."""
    server = Server(url="")
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)
