"""The exporter's HTTP: `/metrics`, `/health/live`, `/health/ready`. It asks nobody who they are, and says little."""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

#: Whoever connects and says nothing is left after this.
_PATIENCE_S: Final = 10

_Start = Callable[..., Any]
_Application = Callable[[dict[str, Any], _Start], Iterable[bytes]]


def serve(
    registry: CollectorRegistry, ready: Callable[[], bool], *, address: str, port: int
) -> WSGIServer:
    """A server that listens, at a port of its own choice where that is 0; the caller runs and closes it."""
    return make_server(
        address,
        port,
        application(registry, ready),
        server_class=_Server,
        handler_class=_Quiet,
    )


def application(registry: CollectorRegistry, ready: Callable[[], bool]) -> _Application:
    """The WSGI application. Each answer comes from memory: nothing is read for it."""
    metrics: _Application = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/metrics":
                return metrics(environ, start)
            case "/health/live":
                return _say(start, HTTPStatus.OK, "live")
            case "/health/ready":
                # A full queue is no reason: nothing that restarts this process would help it.
                well = ready()
                status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
                return _say(start, status, "ready" if well else "not ready")
            case _:
                return _say(start, HTTPStatus.NOT_FOUND, "not found")

    return answer


def _say(start: _Start, status: HTTPStatus, word: str) -> Iterable[bytes]:
    body = json.dumps({"status": word}).encode()
    start(
        f"{status.value} {status.phrase}",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = _PATIENCE_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """A scrape is no event."""

    def address_string(self) -> str:
        """Looks up no name: a resolver that hangs would hang every scrape."""
        return str(self.client_address[0])
