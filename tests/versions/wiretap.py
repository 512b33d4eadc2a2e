"""Stands between a service and the simulator: writes down what creates batches, and can keep a reply back."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

_CREATES: Final = ("/v1/messages/batches", "/v1/batches")
_WRITTEN_DOWN: Final = (*_CREATES, "/v1/files")
_NOT_PASSED_ON: Final = {"host", "connection", "content-length", "transfer-encoding"}
_WAIT_S: Final = 30


class Create(StrEnum):
    """What becomes of a create."""

    PASSES = "passes"
    #: It is served, and nobody hears so.
    UNHEARD = "unheard"
    #: It gets lost on its way.
    LOST = "lost"


@dataclass
class Wiretap:
    """What was sent, the first one first, and what is to become of the next creates."""

    upstream: str
    creates: Create = Create.PASSES
    sent: list[dict[str, Any]] = field(default_factory=list)
    #: How many creates were kept back.
    kept_back: int = 0
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def tapped(upstream: str) -> Iterator[Wiretap]:
    """Listen until the end of the block."""
    tap = Wiretap(upstream)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"tap": tap}))
    server.daemon_threads = True
    tap.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield tap
    finally:
        tap.over.set()
        server.shutdown()
        server.server_close()
        thread.join(_WAIT_S)


class _Handler(BaseHTTPRequestHandler):
    """Passes on."""

    tap: Wiretap

    def do_GET(self) -> None:
        """Any request."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = urlsplit(self.path).path.rstrip("/")
        creates = self.command == "POST" and path in _CREATES
        fate = self.tap.creates if creates else Create.PASSES
        if fate is Create.LOST:
            self._keep_back()
            return
        reply = self._passed_on(body)
        if self.command == "POST" and path in _WRITTEN_DOWN:
            self._write_down(body, reply[2])
        if fate is Create.UNHEARD:
            self._keep_back()
            return
        self._answer(*reply)

    do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

    def _keep_back(self) -> None:
        self.tap.kept_back += 1
        self.tap.over.wait(_WAIT_S)
        self.close_connection = True

    def _passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        where = urlsplit(self.tap.upstream)
        upstream = http.client.HTTPConnection(where.hostname or "", where.port, timeout=_WAIT_S)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _NOT_PASSED_ON}
        upstream.request(self.command, self.path, body or None, headers)
        reply = upstream.getresponse()
        found = reply.status, reply.getheaders(), reply.read()
        upstream.close()
        return found

    def _write_down(self, body: bytes, reply: bytes) -> None:
        kept = {"content-type", "anthropic-version", "anthropic-beta"}
        headers = {k.lower(): v for k, v in self.headers.items() if k.lower() in kept}
        self.tap.sent.append(
            {
                "path": self.path,
                "headers": headers,
                "body": body.decode(),
                "reply": reply.decode(),
            }
        )

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
