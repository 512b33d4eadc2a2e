"""One port for both wires, and the books."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import anthropic_shapes, openai_shapes
from simulator.anthropic_wire import AnthropicWire
from simulator.compatible_wire import CompatibleWire
from simulator.courtesies import Courtesies
from simulator.keys import Keys
from simulator.mishandling import Mishandling
from simulator.mishaps import Mishaps
from simulator.openai_wire import OpenAIWire
from simulator.prices import TABLE
from simulator.problems import REQUEST_ID, ProblemError, answer, missing, provider_of, written
from simulator.reports import Reports
from simulator.settling import ClosingError
from simulator.store import Store
from simulator.token_counts import TokenCounts


def build(
    store: Store, *, requests_per_minute: int | None, enqueued_tokens_max: int | None
) -> Starlette:
    """The whole simulator as an ASGI application."""
    anthropic = AnthropicWire(store)
    openai = OpenAIWire(store, enqueued_tokens_max=enqueued_tokens_max)

    def seed() -> None:
        if store.lenient:
            anthropic.seed_literals()
            openai.seed_literals()

    def reset() -> None:
        store.clear()
        seed()

    seed()
    mishaps = Mishaps()
    keys = Keys()
    reports = Reports(store, {"anthropic": anthropic, "openai": openai}, reset=reset)
    return Starlette(
        routes=[
            *anthropic.routes(),
            *openai.routes(),
            *CompatibleWire(store).routes(),
            *TokenCounts(lenient=store.lenient).routes(),
            *_models(lenient=store.lenient),
            *reports.routes(),
            *mishaps.routes(),
            *keys.routes(),
        ],
        middleware=[
            Middleware(Mishandling, store=store, mishaps=mishaps),
            Middleware(Courtesies, store=store, keys=keys, requests_per_minute=requests_per_minute),
        ],
        exception_handlers={
            ProblemError: answer,
            HTTPException: _not_served,
            ClosingError: _closing,
        },
    )


def _models(*, lenient: bool) -> list[Route]:
    """Both providers have the same addresses; the header `anthropic-version` tells."""

    async def list_models(request: Request) -> Response:
        if provider_of(request) == "openai":
            return JSONResponse({"object": "list", "data": openai_shapes.models()})
        data = anthropic_shapes.models()
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
        return JSONResponse({"data": data, "has_more": False, **ends})

    async def retrieve_model(request: Request) -> Response:
        provider, name = provider_of(request), request.path_params["id"]
        if name not in TABLE[provider] and not lenient:
            raise missing(provider, f"model: {name}")
        shape = anthropic_shapes.model if provider == "anthropic" else openai_shapes.model
        return JSONResponse(shape(name))

    return [Route("/v1/models", list_models), Route("/v1/models/{id}", retrieve_model)]


async def _not_served(request: Request, error: Exception) -> Response:
    """An address or a method that is not simulated, or a form that cannot be read."""
    if not isinstance(error, HTTPException):
        raise error
    kind = "not_found_error" if provider_of(request) == "anthropic" else "invalid_request_error"
    message = f"{request.method} {request.url.path}: {error.detail}"
    # The simulator's own addresses get no id.
    request.scope.setdefault(REQUEST_ID, None)
    return written(request, ProblemError(error.status_code, kind, message))


async def _closing(request: Request, _error: Exception) -> Response:
    """Asked for the results of a large batch while the process ends."""
    return written(request, ProblemError(503, "api_error", "The simulator is stopping."))
