"""ASGI middleware that lets armed mishaps befall requests."""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Final, assert_never

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator import connections
from simulator.mishaps import Kind, Mishap, Mishaps
from simulator.problems import REQUEST_ID, ProblemError, written
from simulator.shares import is_one_of
from simulator.store import Store

_PATHS: Final = "/v1/"


@dataclass(slots=True)
class _Reply:
    """A whole reply, before anything of it has left."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)

    async def take(self, message: Message) -> None:
        """What the application sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    async def leave(self, send: Send, *, body: bytes | None = None, more: bool = False) -> None:
        """Send it. Its stated length is the whole one's unless another whole `body` replaces it."""
        length = len(self.body if body is None or more else body)
        kept = [pair for pair in self.headers if pair[0].lower() != b"content-length"]
        headers = [*kept, (b"content-length", str(length).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        said = bytes(self.body) if body is None else body
        await send({"type": "http.response.body", "body": said, "more_body": more})


class Mishandling:
    """Serves every request whole; then its reply, or its batch, goes wrong where that is armed."""

    def __init__(self, app: ASGIApp, *, store: Store, mishaps: Mishaps) -> None:
        self._app = app
        self._store = store
        self._mishaps = mishaps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        mishap = None
        if scope["type"] == "http" and scope["path"].startswith(_PATHS):
            mishap = self._mishaps.meet(scope["method"], scope["path"])
        if mishap is None:
            await self._app(scope, receive, send)
        elif mishap.fault is Kind.ERROR_INSTEAD:
            await self._error(mishap, scope, receive, send)
        elif mishap.fault is Kind.LATE:
            await self._serve_late(mishap, scope, receive)
        else:
            reply = _Reply()
            await self._app(scope, receive, reply.take)
            await self._go_wrong(mishap, reply, scope, receive, send)

    async def _go_wrong(
        self, mishap: Mishap, reply: _Reply, scope: Scope, receive: Receive, send: Send
    ) -> None:
        match mishap.fault:
            case Kind.REPLY_LOST | Kind.LATE:
                connections.cut(scope["client"])
            case Kind.ERROR_AFTER | Kind.ERROR_INSTEAD:
                await self._error(mishap, scope, receive, send)
            case Kind.HOLD:
                await self._mishaps.hold(mishap.hold_s)
                await reply.leave(send)
            case Kind.CUT:
                part = bytes(reply.body[: int(len(reply.body) * mishap.share)])
                await reply.leave(send, body=part, more=True)
                connections.cut(scope["client"])
            case Kind.TRUNCATE:
                await reply.leave(
                    send, body=bytes(reply.body[: int(len(reply.body) * mishap.share)])
                )
            case Kind.DROP_LINES | Kind.REPEAT_LINES:
                await reply.leave(send, body=_lines(bytes(reply.body), mishap))
            case (
                Kind.EXPIRE
                | Kind.CANCEL
                | Kind.SLOW
                | Kind.NULL_ERRORS
                | Kind.CLOSED_ACCOUNT
                | Kind.OMIT_LINES
            ):
                self._change_batch(mishap, bytes(reply.body))
                await reply.leave(send)
            case _:
                assert_never(mishap.fault)

    async def _serve_late(self, mishap: Mishap, scope: Scope, receive: Receive) -> None:
        """Take the whole request, close the connection, and serve it when its time has come."""
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        connections.cut(scope["client"])
        await self._mishaps.hold(mishap.hold_s)

        async def again() -> Message:
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, again, _Reply().take)

    async def _error(self, mishap: Mishap, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault(REQUEST_ID, self._store.new_id("req"))
        problem = ProblemError(mishap.status, "api_error", "the simulator was asked to fail")
        await written(HTTPConnection(scope), problem)(scope, receive, send)

    def _change_batch(self, mishap: Mishap, created: bytes) -> None:
        batch = self._store.batches.get(json.loads(created).get("id", ""))
        if batch is None:
            return
        if mishap.fault is Kind.NULL_ERRORS:
            batch.null_error_share = mishap.share
            return
        if mishap.fault is Kind.CLOSED_ACCOUNT:
            batch.closed_share = mishap.share
            return
        if mishap.fault is Kind.OMIT_LINES:
            batch.omitted_share = mishap.share
            return
        line = batch.timeline
        if mishap.fault is Kind.SLOW:
            batch.timeline = line.slowed(mishap.share)
            return
        until = line.validated_at + (line.worked_at - line.validated_at) * mishap.share
        if mishap.fault is Kind.CANCEL:
            batch.timeline = replace(line, cancelled_at=until)
        else:
            batch.timeline = replace(line, expires_at=until)


def _lines(body: bytes, mishap: Mishap) -> bytes:
    """A result file with some of its lines left out or told twice; the same ones each time."""
    kept = []
    for line in body.splitlines(keepends=True):
        if not is_one_of(_custom_id(line), mishap.share):
            kept.append(line)
        elif mishap.fault is Kind.REPEAT_LINES:
            kept += [line, line]
    return b"".join(kept)


def _custom_id(line: bytes) -> str:
    found: Any = json.loads(line).get("custom_id")
    return str(found)
