"""Anthropic's wire: messages, message batches, models."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from simulator.bodies import spool_body
from simulator.clock import rfc3339
from simulator.fates import Fate, NotRun, Refused, Said, digest
from simulator.prices import TABLE
from simulator.store import Batch, Store

_CUSTOM_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_REQUESTS_MAX: Final = 100_000
_BYTES_MAX: Final = 256_000_000
_PAGE_MAX: Final = 1000
_STOP_REASONS: Final = {
    "stop": "end_turn",
    "refusal": "refusal",
    "truncated": "max_tokens",
    "pause": "pause_turn",
    "failed": "end_turn",
}


def error(status: int, kind: str, message: str, **headers: str) -> JSONResponse:
    """An error as Anthropic writes it."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}
    return JSONResponse(body, status, headers=headers)


def message(store: Store, said: Said, model: str, *, batch: bool) -> dict[str, Any]:
    """A Message object."""
    return {
        "id": store.new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": said.text, "citations": None}] if said.text else [],
        "stop_reason": _STOP_REASONS[said.finish],
        "stop_sequence": None,
        "usage": {
            "input_tokens": said.tokens.input,
            "output_tokens": said.tokens.output,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "server_tool_use": None,
            "service_tier": "batch" if batch else "standard",
        },
        "simulated": True,
    }


class AnthropicWire:
    """Routes of one simulated workspace."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """What is served."""
        batches = "/v1/messages/batches"
        return [
            Route("/v1/messages", self.create_message, methods=["POST"]),
            Route(batches, self.create_batch, methods=["POST"]),
            Route(batches, self.list_batches, methods=["GET"]),
            Route(batches + "/{id}", self.retrieve, methods=["GET"]),
            Route(batches + "/{id}", self.delete, methods=["DELETE"]),
            Route(batches + "/{id}/cancel", self.cancel, methods=["POST"]),
            Route(batches + "/{id}/results", self.results, methods=["GET"]),
        ]

    async def create_message(self, request: Request) -> Response:
        """One direct call."""
        params = await request.json()
        fate = self._store.requests.fate("anthropic", params, batch=False)
        match fate:
            case Said():
                self._store.books.bill(
                    "anthropic", params["model"], fate.tokens, prompt=digest(params)
                )
                return JSONResponse(message(self._store, fate, params["model"], batch=False))
            case Refused():
                return error(fate.status, fate.kind, fate.message)
            case NotRun():
                return error(500, "api_error", "a direct call always runs")

    async def create_batch(self, request: Request) -> Response:
        """Take a batch; only its envelope is looked at now."""
        path = self._store.path(self._store.new_id("upload"))
        size = await spool_body(request, path, most=_BYTES_MAX)
        if size is None:
            return error(413, "request_too_large", "Request exceeds the maximum size")
        return await run_in_threadpool(self._take, path, str(request.base_url))

    def _take(self, path: Path, base_url: str) -> Response:
        try:
            entries = json.loads(path.read_bytes()).get("requests")
        except (ValueError, AttributeError) as reason:
            return error(400, "invalid_request_error", f"body: {reason}")
        finally:
            path.unlink()
        wrong = _wrong_envelope(entries)
        if wrong is not None:
            return error(400, "invalid_request_error", wrong)
        pairs = ((entry["custom_id"], entry["params"]) for entry in entries)
        batch = self._store.add_batch(provider="anthropic", prefix="msgbatch", requests=pairs)
        return JSONResponse(self._object(batch, base_url))

    async def list_batches(self, request: Request) -> Response:
        """The newest first; `before_id` goes towards newer ones."""
        limit = min(int(request.query_params.get("limit", 20)), _PAGE_MAX)
        found = self._store.of("anthropic")
        ids = [batch.id for batch in found]
        before, after = request.query_params.get("before_id"), request.query_params.get("after_id")
        if before in ids:
            newer = found[: ids.index(before)]
            page, more = newer[-limit:], len(newer) > limit
        else:
            older = found[ids.index(after) + 1 :] if after in ids else found
            page, more = older[:limit], len(older) > limit
        for batch in page:
            await self._settle(batch)
        base_url = str(request.base_url)
        data = [self._object(batch, base_url) for batch in page]
        return JSONResponse(
            {
                "data": data,
                "has_more": more,
                "first_id": data[0]["id"] if data else None,
                "last_id": data[-1]["id"] if data else None,
            }
        )

    async def retrieve(self, request: Request) -> Response:
        """How a batch is."""
        batch = self._find(request)
        if batch is None:
            return error(404, "not_found_error", "no such batch")
        await self._settle(batch)
        return JSONResponse(self._object(batch, str(request.base_url)))

    async def delete(self, request: Request) -> Response:
        """Delete an ended batch."""
        batch = self._find(request)
        if batch is None:
            return error(404, "not_found_error", "no such batch")
        if not self._store.ended(batch):
            return error(400, "invalid_request_error", "the batch is still processing")
        await self._settle(batch)
        del self._store.batches[batch.id]
        return JSONResponse({"id": batch.id, "type": "message_batch_deleted"})

    async def cancel(self, request: Request) -> Response:
        """Ask for an end; what has run stays."""
        batch = self._find(request)
        if batch is None:
            return error(404, "not_found_error", "no such batch")
        if not self._store.ended(batch) and batch.cancelled_at is None:
            batch.cancelled_at = self._store.clock.now()
        return JSONResponse(self._object(batch, str(request.base_url)))

    async def results(self, request: Request) -> Response:
        """All result lines of an ended batch."""
        batch = self._find(request)
        if batch is None or not self._store.ended(batch):
            return error(404, "not_found_error", "no results")
        await self._settle(batch)
        return FileResponse(batch.results, media_type="application/x-jsonl")

    def render(self, custom_id: str, fate: Fate, params: dict[str, Any]) -> tuple[bytes, bool]:
        """One result line; Anthropic keeps all of them in one file."""
        result: dict[str, Any]
        match fate:
            case Said():
                answer = message(self._store, fate, params["model"], batch=True)
                result = {"type": "succeeded", "message": answer}
            case Refused():
                inner = {"type": fate.kind, "message": fate.message}
                outer = {"type": "error", "error": inner, "request_id": self._store.new_id("req")}
                result = {"type": "errored", "error": outer}
            case NotRun():
                result = {"type": fate.why}
        return json.dumps({"custom_id": custom_id, "result": result}).encode() + b"\n", False

    async def _settle(self, batch: Batch) -> None:
        if not batch.finished and self._store.ended(batch):
            await run_in_threadpool(self._store.finish, batch, self.render)

    def _find(self, request: Request) -> Batch | None:
        batch = self._store.batches.get(request.path_params["id"])
        return batch if batch is not None and batch.provider == "anthropic" else None

    def _object(self, batch: Batch, base_url: str) -> dict[str, Any]:
        ended = batch.finished
        running = "canceling" if batch.cancelled_at is not None else "in_progress"
        counts = batch.counts
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else running,
            # Nothing is counted before the whole batch has ended.
            "request_counts": {
                "processing": 0 if ended else batch.total,
                "succeeded": counts.succeeded if ended else 0,
                "errored": counts.errored if ended else 0,
                "canceled": counts.canceled if ended else 0,
                "expired": counts.expired if ended else 0,
            },
            "created_at": rfc3339(batch.created_at),
            "expires_at": rfc3339(batch.expires_at),
            "ended_at": rfc3339(batch.end()) if ended else None,
            "cancel_initiated_at": rfc3339(batch.cancelled_at) if batch.cancelled_at else None,
            "archived_at": None,
            "results_url": f"{base_url}v1/messages/batches/{batch.id}/results" if ended else None,
            "simulated": True,
        }


def models() -> Iterator[dict[str, Any]]:
    """Models as Anthropic lists them."""
    for name in TABLE["anthropic"]:
        yield {
            "id": name,
            "type": "model",
            "display_name": name,
            "created_at": "2026-01-01T00:00:00Z",
            "capabilities": {"batch": {"supported": True}},
            "lifecycle": "active",
        }


def _wrong_envelope(entries: Any) -> str | None:
    if not isinstance(entries, list) or not entries:
        return "requests: at least one request is required"
    if len(entries) > _REQUESTS_MAX:
        return f"requests: at most {_REQUESTS_MAX} requests are allowed"
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        custom_id = entry.get("custom_id") if isinstance(entry, dict) else None
        if not isinstance(custom_id, str) or not _CUSTOM_ID.fullmatch(custom_id):
            return (
                f"requests.{index}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
            )
        if custom_id in seen:
            return f"requests.{index}.custom_id: must be unique"
        if not isinstance(entry.get("params"), dict):
            return f"requests.{index}.params: Field required"
        seen.add(custom_id)
    return None
