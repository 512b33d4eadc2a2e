"""The caller's endpoint for webhooks: verifies each, notes what it says, and answers."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tasks import note
from unhurried.signing import WebhookInvalid, unwrap

_BODY_BYTES_MAX = 20_000


class Receive(BaseHTTPRequestHandler):
    """One webhook."""

    timeout = 10

    def do_POST(self) -> None:
        """Believe what our secret signed just now, and nothing else."""
        length = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(min(length, _BODY_BYTES_MAX))
        try:
            event = unwrap(body, self.headers, os.environ["DEMO_WEBHOOK_SECRET"])
        except WebhookInvalid as refusal:
            note("webhook_refused", reason=refusal.reason)
            self.send_response(400)
        else:
            note("webhook", id=event.id, type=event.type, data=event.data)
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing: what came is in the caller's log."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receive)
    print("receiver ready", flush=True)
    server.serve_forever()
