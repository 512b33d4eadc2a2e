"""Which keys are taken: any, until somebody says otherwise, as when a key is replaced."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Keys:
    """The keys that are valid now; until they are named, any is."""

    def __init__(self) -> None:
        self._valid: frozenset[str] | None = None

    def takes(self, headers: Headers) -> bool:
        """Whether a request's key is valid now. One that is not there never is."""
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        key = headers.get("x-api-key") or bearer
        return bool(key) and (self._valid is None or key in self._valid)

    def routes(self) -> list[Route]:
        """`POST /_keys` names the only valid keys, `DELETE /_keys` takes any again."""
        return [
            Route("/_keys", self._set, methods=["POST"]),
            Route("/_keys", self._clear, methods=["DELETE"]),
        ]

    async def _set(self, request: Request) -> Response:
        said = await request.json()
        if not isinstance(said, list) or not all(isinstance(one, str) and one for one in said):
            message = "a JSON list of keys is wanted"
            return JSONResponse({"error": message}, status_code=HTTPStatus.BAD_REQUEST)
        self._valid = frozenset(said)
        return JSONResponse({"keys_count": len(said)})

    async def _clear(self, _request: Request) -> Response:
        self._valid = None
        return JSONResponse({"keys_count": None})
