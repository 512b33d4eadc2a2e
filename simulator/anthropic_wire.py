"""Anthropic's wire: messages and message batches."""

import json
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from simulator import anthropic_shapes, literals, queries, streams
from simulator.batches import ENDED, Phase
from simulator.bodies import spool_body
from simulator.books import BilledLine
from simulator.fates import Fate, NotRun, Said, digest
from simulator.faults import Refused
from simulator.prices import nano_usd
from simulator.problems import ProblemError, bad, missing
from simulator.settling import settled
from simulator.store import Batch, Store

_BATCHES: Final = "/v1/messages/batches"
_BYTES_MAX: Final = 256_000_000
_PAGE: Final = 20
_PAGE_MAX: Final = 1000


class AnthropicWire:
    """Routes of one simulated workspace."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            Route("/v1/messages", self.create_message, methods=["POST"]),
            Route(_BATCHES, self.create_batch, methods=["POST"]),
            Route(_BATCHES, self.list_batches, methods=["GET"]),
            Route(_BATCHES + "/{id}", self.retrieve, methods=["GET"]),
            Route(_BATCHES + "/{id}", self.delete, methods=["DELETE"]),
            Route(_BATCHES + "/{id}/cancel", self.cancel, methods=["POST"]),
            Route(_BATCHES + "/{id}/results", self.results, methods=["GET"]),
        ]

    def seed_literals(self) -> None:
        """Make the batches that an SDK's own suite asks for."""
        for batch_id in literals.BATCH_IDS["anthropic"]:
            pairs = iter([("my-custom-id-1", literals.params("anthropic"))])
            batch = self._store.add_batch(
                provider="anthropic", batch_id=batch_id, requests=pairs, validated=True
            )
            batch.billed = False
            batch.timeline = batch.timeline.long_done()
            self._store.permanent.add(batch_id)

    async def create_message(self, request: Request) -> Response:
        """One direct call."""
        params = await queries.json_object(request)
        fate = self._store.fates.of("anthropic", params, batch=False)
        match fate:
            case Said():
                nanos = nano_usd(fate.price, fate.tokens, batch=False)
                self._store.books.post([BilledLine("anthropic", None, digest(params), nanos, None)])
                message_id = self._store.new_id("msg")
                message = anthropic_shapes.message(fate, message_id, batch=False)
                if params.get("stream"):
                    events = streams.message_events(message)
                    return streams.stream(events, fate, speed=self._store.clock.speed)
                return JSONResponse(message)
            case Refused():
                raise ProblemError.of(fate)
            case NotRun():
                raise AssertionError("a direct call always runs")

    async def create_batch(self, request: Request) -> Response:
        """Take a batch; only its envelope is looked at now."""
        path = self._store.path(self._store.new_id("upload"))
        if await spool_body(request, path, most=_BYTES_MAX) is None:
            raise ProblemError(413, "request_too_large", "Request exceeds the maximum size")
        batch = await run_in_threadpool(self._take, path)
        return JSONResponse(self._as_it_is(batch, request))

    def _take(self, path: Path) -> Batch:
        try:
            body = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise bad(f"The request body is not valid JSON: {error}") from error
        finally:
            path.unlink()
        entries = body.get("requests") if isinstance(body, dict) else None
        wrong = anthropic_shapes.wrong_envelope(entries)
        if wrong is not None or entries is None:
            raise bad(wrong or "requests: Field required")
        return self._store.add_batch(
            provider="anthropic",
            batch_id=self._store.new_id("msgbatch"),
            requests=((entry["custom_id"], entry["params"]) for entry in entries),
            validated=True,
        )

    async def list_batches(self, request: Request) -> Response:
        """The newest first; `before_id` goes towards newer ones."""
        limit = queries.number(request, "limit", default=_PAGE, least=1, most=_PAGE_MAX)
        found, query = self._store.of("anthropic"), request.query_params
        page = queries.after(found, query.get("after_id"), limit=limit, key=_id)
        if "before_id" in query:
            page = queries.before(found, query["before_id"], limit=limit, key=_id) or page
        data = [await self._object(batch, request) for batch in page[0]]
        return JSONResponse(
            {
                "data": data,
                "has_more": page[1],
                "first_id": data[0]["id"] if data else None,
                "last_id": data[-1]["id"] if data else None,
            }
        )

    async def retrieve(self, request: Request) -> Response:
        """How a batch is."""
        return await self._shown(self._find(request), request)

    async def delete(self, request: Request) -> Response:
        """Delete an ended batch. What it cost stays in the books."""
        batch = self._find(request)
        if not await settled(self._store, batch, self):
            raise bad(f"Message Batch {batch.id} is still processing and cannot be deleted.")
        if batch.id not in self._store.permanent:
            batch.deleted = True
            batch.results.unlink()
        return JSONResponse({"id": batch.id, "type": "message_batch_deleted"})

    async def cancel(self, request: Request) -> Response:
        """Ask for an end; what has run stays. A batch that has ended stays as it is."""
        batch = self._find(request)
        batch.timeline = batch.timeline.cancel(self._store.clock.now())
        return await self._shown(batch, request)

    async def results(self, request: Request) -> Response:
        """All result lines of an ended batch, in no order that anybody could rely on."""
        batch = self._find(request)
        archived = anthropic_shapes.is_archived(batch, self._store.clock)
        if archived or not await settled(self._store, batch, self):
            raise missing("anthropic", f"results of Message Batch {batch.id}")
        return FileResponse(batch.results, media_type="application/x-jsonl")

    def render(self, custom_id: str, fate: Fate) -> tuple[bytes, bool]:
        """See `Wire`. Anthropic keeps all lines in one file."""
        return anthropic_shapes.result_line(custom_id, fate, self._store.new_id), False

    def status(self, batch: Batch) -> str:
        """See `Wire`. A batch whose lines were not written yet has not ended for the caller."""
        phase = batch.timeline.phase(self._store.clock.now())
        if phase in ENDED and batch.settled:
            return "ended"
        cancelled = phase is Phase.CANCELLING or batch.timeline.cancelled_at is not None
        return "canceling" if cancelled else "in_progress"

    async def _shown(self, batch: Batch, request: Request) -> Response:
        return JSONResponse(await self._object(batch, request))

    async def _object(self, batch: Batch, request: Request) -> dict[str, Any]:
        await settled(self._store, batch, self)
        return self._as_it_is(batch, request)

    def _as_it_is(self, batch: Batch, request: Request) -> dict[str, Any]:
        return anthropic_shapes.message_batch(
            batch,
            status=self.status(batch),
            clock=self._store.clock,
            base_url=str(request.base_url),
        )

    def _find(self, request: Request) -> Batch:
        batch = self._store.batch("anthropic", request.path_params["id"])
        if batch is None:
            raise missing("anthropic", f"Message Batch: {request.path_params['id']}")
        return batch


def _id(batch: Batch) -> str:
    return batch.id
