"""Errors of a whole HTTP request, written as the provider that was asked would write them."""

from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from simulator.faults import Refused

#: Where the middleware leaves the id of a request.
REQUEST_ID = "simulator.request_id"


class ProblemError(Exception):
    """Answers the request with an error. `headers` go with it."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.code = code
        self.headers = headers

    @classmethod
    def of(cls, refused: Refused) -> "ProblemError":
        """The same error for a direct call."""
        return cls(refused.status, refused.kind, refused.message, code=refused.code)


def bad(message: str, *, code: str | None = None) -> ProblemError:
    """The caller's own fault."""
    return ProblemError(400, "invalid_request_error", message, code=code)


def missing(provider: str, what: str) -> ProblemError:
    """There is no such thing."""
    kind = "not_found_error" if provider == "anthropic" else "invalid_request_error"
    return ProblemError(404, kind, f"No such {what}.")


def provider_of(request: HTTPConnection) -> str:
    """Which provider is asked: by the address, and by the header where both have the address."""
    if request.url.path.startswith("/v1/messages") or "anthropic-version" in request.headers:
        return "anthropic"
    return "openai"


async def answer(request: Request, problem: Exception) -> Response:
    """The exception handler."""
    if not isinstance(problem, ProblemError):
        raise problem
    return written(request, problem)


def written(request: HTTPConnection, problem: ProblemError) -> Response:
    """The problem in the words of the provider that was asked."""
    body: dict[str, Any] = {
        "error": {
            "message": problem.message,
            "type": problem.kind,
            "param": None,
            "code": problem.code,
        }
    }
    if provider_of(request) == "anthropic":
        body = anthropic_error(problem.kind, problem.message, request.scope[REQUEST_ID])
    return JSONResponse(body, problem.status, problem.headers)


def anthropic_error(kind: str, message: str, request_id: str) -> dict[str, Any]:
    """An error object as Anthropic nests it."""
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": request_id,
    }
