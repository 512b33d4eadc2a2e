"""The simulator's own routes: what was billed, whether it lives, and how to start anew."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import queries
from simulator.clock import rfc3339
from simulator.settling import Wire, settled
from simulator.store import Batch, Store

_PAGE: Final = 1000
_PAGE_MAX: Final = 10_000
_OFFSET_MAX: Final = 2**63


class Reports:
    """Routes for whoever checks. Each settles every batch whose end has come before it answers."""

    def __init__(
        self, store: Store, wires: Mapping[str, Wire], *, reset: Callable[[], None]
    ) -> None:
        self._store = store
        self._wires = wires
        self._reset = reset

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            Route("/_books", self.books),
            Route("/_books/lines", self.lines),
            Route("/_books/repeats", self.repeats),
            Route("/_reset", self.reset, methods=["POST"]),
            Route("/_health", self.health),
        ]

    async def books(self, _request: Request) -> Response:
        """Sums, and every batch that ever was, deleted ones too."""
        await self._settle()
        batches = [self._shown(batch) for batch in list(self._store.batches.values())]
        return JSONResponse({**self._store.books.totals(), "batches": batches})

    async def lines(self, request: Request) -> Response:
        """A page of billed lines: `provider=`, `custom_id=`, `limit=`, `offset=`."""
        await self._settle()
        query = request.query_params
        found = self._store.books.page(
            provider=query.get("provider"), custom_id=query.get("custom_id"), **_page(request)
        )
        return JSONResponse(
            [
                {
                    "provider": line.provider,
                    "custom_id": line.custom_id,
                    "prompt": line.prompt,
                    "nano_usd": line.nano_usd,
                    "batch_id": line.batch_id,
                }
                for line in found
            ]
        )

    async def repeats(self, request: Request) -> Response:
        """Requests that were billed more than once."""
        await self._settle()
        return JSONResponse(self._store.books.repeats(**_page(request)))

    async def reset(self, _request: Request) -> Response:
        """Empty the books and forget all objects."""
        self._reset()
        return JSONResponse({"reset": True})

    async def health(self, _request: Request) -> Response:
        """It lives, and this is the time."""
        return JSONResponse({"ok": True, "now": rfc3339(self._store.clock.now())})

    async def _settle(self) -> None:
        for batch in list(self._store.batches.values()):
            await settled(self._store, batch, self._wires[batch.provider])

    def _shown(self, batch: Batch) -> dict[str, Any]:
        cost = self._store.books.of_batch(batch.provider, batch.id)
        status = self._wires[batch.provider].status(batch)
        return {
            "id": batch.id,
            "provider": batch.provider,
            "status": "deleted" if batch.deleted else status,
            "requests": batch.total,
            "billed_lines": cost.lines,
            "billed_nano_usd": cost.nano_usd,
            "created_at": rfc3339(batch.timeline.created_at),
            "metadata": batch.extra.get("metadata"),
            "input_file_id": batch.extra.get("input_file_id"),
        }


def _page(request: Request) -> dict[str, int]:
    return {
        "offset": queries.number(request, "offset", default=0, least=0, most=_OFFSET_MAX),
        "limit": queries.number(request, "limit", default=_PAGE, least=1, most=_PAGE_MAX),
    }
