"""How many tokens a request would have: asked without being answered, at either provider. Free."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import queries
from simulator.fates import count_tokens
from simulator.faults import unknown_model
from simulator.prices import TABLE
from simulator.problems import ProblemError
from simulator.prompts import prompt_of


class TokenCounts:
    """Routes of both wires. `lenient` counts for models that nobody sells."""

    def __init__(self, *, lenient: bool) -> None:
        self._lenient = lenient

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            Route("/v1/messages/count_tokens", self.of_messages, methods=["POST"]),
            Route("/v1/responses/input_tokens", self.of_response, methods=["POST"]),
        ]

    async def of_messages(self, request: Request) -> Response:
        """Anthropic's count."""
        return JSONResponse({"input_tokens": await self._count("anthropic", request)})

    async def of_response(self, request: Request) -> Response:
        """OpenAI's count."""
        count = await self._count("openai", request)
        return JSONResponse({"object": "response.input_tokens", "input_tokens": count})

    async def _count(self, provider: str, request: Request) -> int:
        params = await queries.json_object(request)
        if params.get("model") not in TABLE[provider] and not self._lenient:
            raise ProblemError.of(unknown_model(provider, params.get("model")))
        return count_tokens(prompt_of(provider, params).whole)
