"""A server of somebody's own that speaks OpenAI's wire, under `/compatible/openai/v1`.

It serves any model, counts no tokens, answers with fields of its own and words errors in its own way.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import queries
from simulator.fates import Fates, Said
from simulator.faults import Refused
from simulator.openai_completions import chat_completion, embeddings
from simulator.store import Store

PREFIX: Final = "/compatible/openai/v1"
#: What it has and OpenAI has not.
_OWN: Final = {"prompt_logprobs": None, "kv_transfer_params": {"remote": False}}
_LEFT_OUT: Final = ("usage", "service_tier", "simulated")
#: Any model for embeddings is answered as this one is.
_EMBEDDER: Final = "text-embedding-3-small"


class CompatibleWire:
    """Routes of the server. It bills nothing, and so is in no books."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._fates = Fates(lenient=True)

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            Route(f"{PREFIX}/chat/completions", self.chat, methods=["POST"]),
            Route(f"{PREFIX}/embeddings", self.embed, methods=["POST"]),
        ]

    async def chat(self, request: Request) -> Response:
        """One completion."""
        params = await queries.json_object(request)
        fate = self._fates.of("openai", params, batch=False)
        if not isinstance(fate, Said):
            return _refused(fate)
        body = chat_completion(
            fate, new_id=self._store.new_id, clock=self._store.clock, batch=False
        )
        body["choices"][0]["message"]["reasoning_content"] = None
        return _answered(body)

    async def embed(self, request: Request) -> Response:
        """Vectors."""
        params = await queries.json_object(request)
        fate = self._fates.of("openai", {**params, "model": _EMBEDDER}, batch=False)
        if not isinstance(fate, Said):
            return _refused(fate)
        return _answered({**embeddings(fate), "model": params.get("model")})


def _answered(body: dict[str, Any]) -> Response:
    kept = {name: value for name, value in body.items() if name not in _LEFT_OUT}
    return JSONResponse(kept | _OWN)


def _refused(fate: object) -> Response:
    if not isinstance(fate, Refused):
        raise TypeError(f"a direct call always runs: {fate}")
    body = {"object": "error", "message": fate.message, "type": "BadRequestError", "code": 400}
    return JSONResponse(body, 400)
