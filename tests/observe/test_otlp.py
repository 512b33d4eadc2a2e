"""With the extra `otel` and one setting, spans arrive where OpenTelemetry's own variables say."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

#: What a worker does, and it ends at once: what was told must have left by then.
_WORKER: Final = """
from datetime import UTC, datetime
from app.policy.tracing import Span
from app.wiring import watching
now = datetime.now(UTC)
watching.spans().calls([Span(name="chat m", began_at=now, ended_at=now, error="refused")])
"""


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An OpenTelemetry collector's address, and what was posted there."""
    posted: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            posted.append((self.path, self.rfile.read(length)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """It says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", posted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_spans_arrive_by_otlp() -> None:
    """
    Also from a process that ends right after; the error is a status, and the service has its name.
    """
    with collector() as (url, posted):
        environment = {
            **os.environ,
            "UNHURRIED_TRACES": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        }
        subprocess.run([sys.executable, "-c", _WORKER], env=environment, check=True, timeout=120)
    ((path, body),) = posted
    (of,) = ExportTraceServiceRequest.FromString(body).resource_spans
    (span,) = of.scope_spans[0].spans

    assert "/v1/traces" == path
    assert ("chat m", 2) == (span.name, span.status.code)
    assert {"error.type": "refused"} == {one.key: one.value.string_value for one in span.attributes}
    assert "unhurried" in {one.value.string_value for one in of.resource.attributes}
