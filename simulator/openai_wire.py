"""OpenAI's wire: responses and batches."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import literals, openai_shapes, queries, streams
from simulator.batches import ENDED, Phase
from simulator.books import BilledLine
from simulator.fates import Fate, NotRun, Said, Shape, digest
from simulator.faults import Refused
from simulator.openai_files import KEPT_S, Files, kept_seconds
from simulator.openai_input import InputFile, failure
from simulator.prices import nano_usd
from simulator.problems import ProblemError, bad, missing
from simulator.settling import settled
from simulator.store import Batch, Store, StoredFile

_PAGE: Final = 20
_PAGE_MAX: Final = 100
_BYTES_PER_TOKEN: Final = 4
_METADATA_MAX: Final = 16
_METADATA_KEY_MAX: Final = 64
_METADATA_VALUE_MAX: Final = 512


class OpenAIWire:
    """Routes of one simulated project. `enqueued_tokens_max` limits a model's live batches."""

    def __init__(self, store: Store, *, enqueued_tokens_max: int | None) -> None:
        self._store = store
        self._files = Files(store)
        self._enqueued_tokens_max = enqueued_tokens_max
        self._quota = Lock()

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            *self._files.routes(),
            Route("/v1/responses", self.create_response, methods=["POST"]),
            Route("/v1/chat/completions", self.create_response, methods=["POST"]),
            Route("/v1/embeddings", self.create_response, methods=["POST"]),
            Route("/v1/responses/{id}", self.retrieve_response, methods=["GET"]),
            Route("/v1/responses/{id}", self.delete_response, methods=["DELETE"]),
            Route("/v1/batches", self.create_batch, methods=["POST"]),
            Route("/v1/batches", self.list_batches, methods=["GET"]),
            Route("/v1/batches/{id}", self.retrieve, methods=["GET"]),
            Route("/v1/batches/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    def seed_literals(self) -> None:
        """Make the objects that an SDK's own suite asks for."""
        self._files.seed_literals()
        source = self._store.files[literals.FILE_IDS[0]]
        body = {"endpoint": "/v1/responses", "input_file_id": source.id}
        for batch_id in literals.BATCH_IDS["openai"]:
            batch = self._take({**body, "completion_window": "24h"}, source, batch_id)
            batch.billed = False
            batch.timeline = batch.timeline.long_done()
        params = literals.params("openai")
        fate = self._store.fates.of("openai", params, batch=False)
        if not isinstance(fate, Said):
            raise TypeError(f"the literal request was not answered: {fate}")
        for response_id in literals.RESPONSE_IDS:
            self._store.keep_response({**self._response(fate, params), "id": response_id})
            self._store.permanent.add(response_id)

    async def create_response(self, request: Request) -> Response:
        """One direct call."""
        params = await queries.json_object(request)
        fate = self._store.fates.of("openai", params, batch=False)
        match fate:
            case Said():
                nanos = nano_usd(fate.price, fate.tokens, batch=False)
                self._store.books.post([BilledLine("openai", None, digest(params), nanos, None)])
                answer = self._response(fate, params)
                if fate.shape is Shape.NATIVE:
                    self._store.keep_response(answer)
                if params.get("stream") and fate.shape is not Shape.EMBEDDINGS:
                    events = _events(answer, fate, params)
                    return streams.stream(events, fate, speed=self._store.clock.speed)
                return JSONResponse(answer)
            case Refused():
                raise ProblemError.of(fate)
            case NotRun():
                raise AssertionError("a direct call always runs")

    async def retrieve_response(self, request: Request) -> Response:
        """An answer given before."""
        return JSONResponse(self._kept(request))

    async def delete_response(self, request: Request) -> Response:
        """Forget an answer given before, unless it is there for good."""
        response_id = self._kept(request)["id"]
        if response_id not in self._store.permanent:
            del self._store.responses[response_id]
        return JSONResponse({"id": response_id, "object": "response", "deleted": True})

    def _kept(self, request: Request) -> dict[str, Any]:
        found = self._store.responses.get(request.path_params["id"])
        if found is None:
            raise missing("openai", f"response: {request.path_params['id']}")
        return found

    async def create_batch(self, request: Request) -> Response:
        """Take a batch. What is wrong with its file shows once it is validated."""
        body = await queries.json_object(request)
        stored = self._store.file(str(body.get("input_file_id")))
        if stored is None:
            raise bad(f"No such File object: {body.get('input_file_id')}", code="file_not_found")
        if not stored.filename.endswith(".jsonl"):
            raise bad("Invalid file format for Batch API. Must be .jsonl")
        _check_metadata(body.get("metadata"))
        kept_seconds(_output_kept(body))
        batch_id = self._store.new_id("batch")
        batch = await run_in_threadpool(self._take, body, stored, batch_id)
        return JSONResponse(self._as_it_is(batch))

    def _take(self, body: dict[str, Any], stored: StoredFile, batch_id: str) -> Batch:
        source = InputFile(stored, str(body.get("endpoint")), self._store.lenient)
        batch = self._store.add_batch(
            provider="openai",
            batch_id=batch_id,
            requests=source.requests(),
            extra={
                "input_file_id": stored.id,
                "endpoint": body.get("endpoint"),
                "completion_window": body.get("completion_window", "24h"),
                "metadata": body.get("metadata"),
                "output_kept_s": kept_seconds(_output_kept(body)) or KEPT_S,
            },
            failures=source.failures,
            validated=False,
        )
        batch.extra["model"] = source.model
        with self._quota:
            self._enqueue(batch, stored.path.stat().st_size // _BYTES_PER_TOKEN)
        return batch

    def _enqueue(self, batch: Batch, tokens: int) -> None:
        """Count a valid batch against its model's limit, or let it fail."""
        model, most = batch.extra["model"], self._enqueued_tokens_max
        if batch.failures:
            return
        if most is not None and self._store.enqueued_tokens(model) + tokens > most:
            message = (
                f"Enqueued token limit reached for {model}. Limit: {most:,} enqueued tokens. Please"
                " try again once some in_progress batches have been completed."
            )
            batch.failures.append(failure("token_limit_exceeded", message))
            batch.timeline = replace(batch.timeline, invalid=True)
            return
        batch.enqueued_tokens = tokens

    async def list_batches(self, request: Request) -> Response:
        """The newest first."""
        limit = queries.number(request, "limit", default=_PAGE, least=1, most=_PAGE_MAX)
        batches, more = queries.after(
            self._store.of("openai"),
            request.query_params.get("after"),
            limit=limit,
            key=lambda batch: batch.id,
        )
        data = [await self._object(batch) for batch in batches]
        return JSONResponse(openai_shapes.page(data, more=more))

    async def retrieve(self, request: Request) -> Response:
        """How a batch is."""
        return await self._shown(self._find(request))

    async def cancel(self, request: Request) -> Response:
        """Ask for an end; what has run stays. A batch that has ended stays as it is."""
        batch = self._find(request)
        batch.timeline = batch.timeline.cancel(self._store.clock.now())
        return await self._shown(batch)

    def render(self, custom_id: str, fate: Fate) -> tuple[bytes, bool]:
        """See `Wire`."""
        return openai_shapes.result_line(custom_id, fate, self._store.new_id, self._store.clock)

    def status(self, batch: Batch) -> str:
        """See `Wire`."""
        return self._phase(batch).value

    async def _shown(self, batch: Batch) -> Response:
        return JSONResponse(await self._object(batch))

    async def _object(self, batch: Batch) -> dict[str, Any]:
        if await settled(self._store, batch, self) and "output_file_id" not in batch.extra:
            batch.extra["output_file_id"] = self._keep(batch, batch.results, "output")
            batch.extra["error_file_id"] = self._keep(batch, batch.errors, "error")
        return self._as_it_is(batch)

    def _as_it_is(self, batch: Batch) -> dict[str, Any]:
        return openai_shapes.batch_object(batch, phase=self._phase(batch), clock=self._store.clock)

    def _phase(self, batch: Batch) -> Phase:
        """A batch whose lines were not written yet has not ended for the caller."""
        phase = batch.timeline.phase(self._store.clock.now())
        if phase in ENDED and not batch.settled:
            return Phase.FINALIZING if batch.timeline.cancelled_at is None else Phase.CANCELLING
        if phase is Phase.COMPLETED and batch.counts.expired:
            return Phase.EXPIRED
        return phase

    def _keep(self, batch: Batch, path: Path, what: str) -> str | None:
        """Make a result file an object; None where it has no line."""
        if not path.exists() or path.stat().st_size == 0:
            return None
        file_id, created_at = self._store.new_id("file"), batch.timeline.ends_at
        expires_at = created_at + batch.extra["output_kept_s"]
        name = f"{batch.id}_{what}.jsonl"
        self._store.files[file_id] = StoredFile(
            file_id, name, "batch_output", path, created_at, expires_at
        )
        return file_id

    def _response(self, fate: Said, params: dict[str, Any]) -> dict[str, Any]:
        store = self._store
        return openai_shapes.answer(
            fate, params, new_id=store.new_id, clock=store.clock, batch=False
        )

    def _find(self, request: Request) -> Batch:
        batch = self._store.batch("openai", request.path_params["id"])
        if batch is None:
            raise missing("openai", f"batch: {request.path_params['id']}")
        return batch


def _events(answer: dict[str, Any], said: Said, params: dict[str, Any]) -> Iterator[bytes]:
    if said.shape is Shape.NATIVE:
        return streams.response_events(answer)
    options = params.get("stream_options")
    wanted = isinstance(options, dict) and options.get("include_usage") is True
    return streams.chunk_events(answer, usage=wanted)


def _output_kept(body: dict[str, Any]) -> Any:
    asked = body.get("output_expires_after")
    return asked.get("seconds") if isinstance(asked, dict) else None


def _check_metadata(metadata: Any) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or len(metadata) > _METADATA_MAX:
        raise bad(f"metadata: an object of at most {_METADATA_MAX} pairs was expected")
    for key, value in metadata.items():
        fits = isinstance(value, str) and len(value) <= _METADATA_VALUE_MAX
        if not fits or len(key) > _METADATA_KEY_MAX:
            raise bad(
                f"metadata.{key[:_METADATA_KEY_MAX]}: keys have at most {_METADATA_KEY_MAX}"
                f" characters, values are texts of at most {_METADATA_VALUE_MAX}"
            )
