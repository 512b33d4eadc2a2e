"""What every provider request gets: a key is demanded, an id is given, the rate is limited."""

import time
from collections import deque
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.books import PROVIDERS
from simulator.keys import Keys
from simulator.problems import REQUEST_ID, ProblemError, provider_of, written
from simulator.store import Store

_MINUTE_S: Final = 60.0
_ID_HEADERS: Final = {"anthropic": "request-id", "openai": "x-request-id"}


class Courtesies:
    """ASGI middleware for everything under `/v1/`. Minutes are real ones: callers wait in real time."""

    def __init__(
        self, app: ASGIApp, *, store: Store, keys: Keys, requests_per_minute: int | None
    ) -> None:
        self._app = app
        self._store = store
        self._keys = keys
        self._most = requests_per_minute
        self._served: dict[str, deque[float]] = {name: deque() for name in PROVIDERS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        provider = provider_of(connection)
        scope[REQUEST_ID] = self._store.new_id("req")

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[_ID_HEADERS[provider]] = scope[REQUEST_ID]
            await send(message)

        refusal = self._refusal(provider, connection)
        app = written(connection, refusal) if refusal is not None else self._app
        await app(scope, receive, send_with_id)

    def _refusal(self, provider: str, connection: HTTPConnection) -> ProblemError | None:
        headers = connection.headers
        if not self._keys.takes(headers):
            message = "No valid API key was sent."
            return ProblemError(401, "authentication_error", message, code="invalid_api_key")
        if self._most is None:
            return None
        served, now = self._served[provider], time.monotonic()
        while served and now - served[0] > _MINUTE_S:
            served.popleft()
        if len(served) < self._most:
            served.append(now)
            return None
        wait_s = int(_MINUTE_S - (now - served[0])) + 1 if served else int(_MINUTE_S)
        return ProblemError(
            429,
            "rate_limit_error",
            f"This request would exceed your rate limit of {self._most} requests per minute.",
            code="rate_limit_exceeded",
            headers={"retry-after": str(wait_s)},
        )
