"""One port for both wires, with request ids, rate limits and the books."""

import time
from collections import deque
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import anthropic_wire, openai_wire
from simulator.anthropic_wire import AnthropicWire
from simulator.openai_wire import OpenAIWire
from simulator.store import Render, Store

_PAGE_MAX: Final = 10_000
_MINUTE_S: Final = 60.0


class _Courtesies(BaseHTTPMiddleware):
    """A key is demanded, an id is given, and no more than so many requests a minute are served."""

    def __init__(self, app: Any, *, store: Store, requests_per_minute: int | None) -> None:
        super().__init__(app)
        self._store = store
        self._most = requests_per_minute
        self._served: dict[str, deque[float]] = {"anthropic": deque(), "openai": deque()}

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        if not request.url.path.startswith("/v1/"):
            return await call_next(request)
        provider = _provider(request)
        refusal = self._refusal(provider, request)
        answer = refusal if refusal is not None else await call_next(request)
        name = "request-id" if provider == "anthropic" else "x-request-id"
        answer.headers[name] = self._store.new_id("req")
        return answer

    def _refusal(self, provider: str, request: Request) -> Response | None:
        if not request.headers.get("authorization") and not request.headers.get("x-api-key"):
            return _error(provider, 401, "authentication_error", "no API key was sent")
        served, now = self._served[provider], time.monotonic()
        while served and now - served[0] > _MINUTE_S:
            served.popleft()
        if self._most is not None and len(served) >= self._most:
            refusal = _error(provider, 429, "rate_limit_error", "too many requests a minute")
            refusal.headers["retry-after"] = str(max(int(_MINUTE_S - (now - served[0])), 1))
            return refusal
        served.append(now)
        return None


def _provider(request: Request) -> str:
    path = request.url.path
    if path.startswith("/v1/messages") or "anthropic-version" in request.headers:
        return "anthropic"
    return "openai"


def _error(provider: str, status: int, kind: str, message: str) -> Response:
    if provider == "anthropic":
        return anthropic_wire.error(status, kind, message)
    code = "rate_limit_exceeded" if kind == "rate_limit_error" else "invalid_api_key"
    return openai_wire.error(status, kind, message, code=code)


class _Books:
    """What was billed, for whoever checks."""

    def __init__(self, store: Store, wires: dict[str, Render]) -> None:
        self._store = store
        self._wires = wires

    def routes(self) -> list[Route]:
        return [
            Route("/_books", self.books),
            Route("/_books/lines", self.lines),
            Route("/_books/repeats", self.repeats),
            Route("/_reset", self.reset, methods=["POST"]),
            Route("/_health", self.health),
        ]

    async def books(self, _request: Request) -> Response:
        await self._settle()
        batches = [
            {
                "id": batch.id,
                "provider": batch.provider,
                "ended": batch.finished,
                "requests": batch.total,
                "billed_lines": batch.counts.succeeded,
                "billed_nano_usd": sum(
                    line.nano_usd for line in self._store.books.of_batch(batch.id)
                ),
                "metadata": batch.extra.get("metadata"),
                "input_file_id": batch.extra.get("input_file_id"),
            }
            for batch in list(self._store.batches.values())
        ]
        return JSONResponse({**self._store.books.totals(), "batches": batches})

    async def lines(self, request: Request) -> Response:
        await self._settle()
        offset = int(request.query_params.get("offset", 0))
        limit = min(int(request.query_params.get("limit", 1000)), _PAGE_MAX)
        page = self._store.books.lines[offset : offset + limit]
        return JSONResponse(
            [
                {
                    "provider": line.provider,
                    "custom_id": line.custom_id,
                    "prompt": line.prompt,
                    "nano_usd": line.nano_usd,
                    "batch_id": line.batch_id,
                }
                for line in page
            ]
        )

    async def repeats(self, _request: Request) -> Response:
        await self._settle()
        return JSONResponse(self._store.books.repeats())

    async def reset(self, _request: Request) -> Response:
        self._store.clear()
        return JSONResponse({"reset": True})

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"ok": True, "now": self._store.clock.now()})

    async def _settle(self) -> None:
        await run_in_threadpool(self._store.settle_all, self._wires.__getitem__)


def build(
    store: Store, *, requests_per_minute: int | None, enqueued_tokens_max: int | None
) -> Starlette:
    """The whole simulator as an ASGI application."""
    anthropic = AnthropicWire(store)
    openai = OpenAIWire(store, enqueued_tokens_max=enqueued_tokens_max)
    books = _Books(store, {"anthropic": anthropic.render, "openai": openai.render})

    async def list_models(request: Request) -> Response:
        if _provider(request) == "anthropic":
            data = list(anthropic_wire.models())
            return JSONResponse(
                {"data": data, "has_more": False, "first_id": None, "last_id": None}
            )
        return JSONResponse({"object": "list", "data": list(openai_wire.models())})

    async def retrieve_model(request: Request) -> Response:
        provider = _provider(request)
        known = anthropic_wire.models() if provider == "anthropic" else openai_wire.models()
        for model in known:
            if model["id"] == request.path_params["id"]:
                return JSONResponse(model)
        return _error(provider, 404, "not_found_error", "no such model")

    app = Starlette(
        routes=[
            *anthropic.routes(),
            *openai.routes(),
            Route("/v1/models", list_models),
            Route("/v1/models/{id}", retrieve_model),
            *books.routes(),
        ]
    )
    app.add_middleware(_Courtesies, store=store, requests_per_minute=requests_per_minute)
    return app
