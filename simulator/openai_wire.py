"""OpenAI's wire: responses, files, batches, models."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from simulator.bodies import spool_upload
from simulator.fates import Fate, NotRun, Refused, Said, digest
from simulator.prices import TABLE
from simulator.store import Batch, Store, StoredFile

_ENDPOINTS: Final = frozenset({"/v1/responses", "/v1/chat/completions", "/v1/embeddings"})
_LINES_MAX: Final = 50_000
_BYTES_MAX: Final = 200_000_000
_PAGE_MAX: Final = 100
_BYTES_PER_TOKEN: Final = 4
#: Shares of a batch's life: validating, then in progress, then finalizing.
_VALIDATED_AT: Final = 0.1
_FINALIZING_AT: Final = 0.9
#: A batch that fails in validation shows it after this many simulated seconds.
_VALIDATION_S: Final = 10.0
_LINE_ERRORS: Final = {
    "expired": ("batch_expired", "This request could not be executed before the batch expired."),
    "canceled": ("batch_cancelled", "This request was not executed: the batch was cancelled."),
}


def error(status: int, kind: str, message: str, *, code: str | None = None) -> JSONResponse:
    """An error as OpenAI writes it."""
    body = {"message": message, "type": kind, "param": None, "code": code}
    return JSONResponse({"error": body}, status)


def response(store: Store, said: Said, model: str, *, batch: bool) -> dict[str, Any]:
    """A Response object."""
    refused = said.finish == "refusal"
    part = (
        {"type": "refusal", "refusal": said.text}
        if refused
        else {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    )
    status = {"truncated": "incomplete", "failed": "failed"}.get(said.finish, "completed")
    return {
        "id": store.new_id("resp"),
        "object": "response",
        "created_at": int(store.clock.now()),
        "status": status,
        "error": {"code": "server_error", "message": "failed"} if status == "failed" else None,
        "incomplete_details": ({"reason": "max_output_tokens"} if status == "incomplete" else None),
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [
            {
                "type": "message",
                "id": store.new_id("msg"),
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        ],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "service_tier": "batch" if batch else "default",
        "usage": {
            "input_tokens": said.tokens.input,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": said.tokens.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": said.tokens.input + said.tokens.output,
        },
        "simulated": True,
    }


class OpenAIWire:
    """Routes of one simulated project."""

    def __init__(self, store: Store, *, enqueued_tokens_max: int | None) -> None:
        self._store = store
        self._enqueued_tokens_max = enqueued_tokens_max
        self._responses: dict[str, dict[str, Any]] = {}

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            Route("/v1/responses", self.create_response, methods=["POST"]),
            Route("/v1/responses/{id}", self.retrieve_response, methods=["GET"]),
            Route("/v1/files", self.upload, methods=["POST"]),
            Route("/v1/files", self.list_files, methods=["GET"]),
            Route("/v1/files/{id}", self.retrieve_file, methods=["GET"]),
            Route("/v1/files/{id}", self.delete_file, methods=["DELETE"]),
            Route("/v1/files/{id}/content", self.content, methods=["GET"]),
            Route("/v1/batches", self.create_batch, methods=["POST"]),
            Route("/v1/batches", self.list_batches, methods=["GET"]),
            Route("/v1/batches/{id}", self.retrieve, methods=["GET"]),
            Route("/v1/batches/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    async def create_response(self, request: Request) -> Response:
        """One direct call."""
        params = await request.json()
        fate = self._store.requests.fate("openai", params, batch=False)
        match fate:
            case Said():
                self._store.books.bill(
                    "openai", params["model"], fate.tokens, prompt=digest(params)
                )
                answer = response(self._store, fate, params["model"], batch=False)
                self._responses[answer["id"]] = answer
                return JSONResponse(answer)
            case Refused():
                return error(fate.status, fate.kind, fate.message, code=fate.kind)
            case NotRun():
                return error(500, "server_error", "a direct call always runs")

    async def retrieve_response(self, request: Request) -> Response:
        """An answer given before."""
        found = self._responses.get(request.path_params["id"])
        return JSONResponse(found) if found else error(404, "invalid_request_error", "not found")

    async def upload(self, request: Request) -> Response:
        """Keep a file."""
        file_id = self._store.new_id("file")
        path = self._store.path(file_id)
        uploaded = await spool_upload(request, path)
        if uploaded is None:
            return error(400, "invalid_request_error", "'file' is a required property")
        stored = StoredFile(
            id=file_id,
            filename=uploaded.filename,
            purpose=str(uploaded.fields.get("purpose", "batch")),
            path=path,
            created_at=self._store.clock.now(),
        )
        self._store.files[file_id] = stored
        return JSONResponse(_file(stored))

    async def list_files(self, request: Request) -> Response:
        """Files, the newest first."""
        limit = min(int(request.query_params.get("limit", 10_000)), 10_000)
        after = request.query_params.get("after")
        found = list(reversed(self._store.files.values()))
        ids = [stored.id for stored in found]
        start = ids.index(after) + 1 if after in ids else 0
        page = found[start : start + limit]
        more = len(found) > start + limit
        return JSONResponse(_page([_file(stored) for stored in page], more=more))

    async def retrieve_file(self, request: Request) -> Response:
        """What is known of a file."""
        stored = self._store.files.get(request.path_params["id"])
        if stored is None:
            return error(404, "invalid_request_error", "No such File object")
        return JSONResponse(_file(stored))

    async def delete_file(self, request: Request) -> Response:
        """Forget a file."""
        stored = self._store.files.pop(request.path_params["id"], None)
        if stored is None:
            return error(404, "invalid_request_error", "No such File object")
        return JSONResponse({"id": stored.id, "object": "file", "deleted": True})

    async def content(self, request: Request) -> Response:
        """A file's bytes."""
        stored = self._store.files.get(request.path_params["id"])
        if stored is None:
            return error(404, "invalid_request_error", "No such File object")
        return FileResponse(stored.path, media_type="application/octet-stream")

    async def create_batch(self, request: Request) -> Response:
        """Take a batch; its file is looked at later."""
        body = await request.json()
        stored = self._store.files.get(body.get("input_file_id", ""))
        if stored is None:
            return error(400, "invalid_request_error", "No such File object", code="file_not_found")
        if not stored.filename.endswith(".jsonl"):
            message = "Invalid file format for Batch API. Must be .jsonl"
            return error(400, "invalid_request_error", message)
        batch = await run_in_threadpool(self._take, body, stored)
        return JSONResponse(self._object(batch))

    def _take(self, body: dict[str, Any], stored: StoredFile) -> Batch:
        failures: list[dict[str, Any]] = []
        lines = _lines(stored.path, str(body.get("endpoint")), failures)
        extra = {name: body.get(name) for name in ("input_file_id", "endpoint", "metadata")}
        extra["completion_window"] = body.get("completion_window", "24h")
        batch = self._store.add_batch(
            provider="openai", prefix="batch", requests=lines, extra=extra
        )
        limit = self._enqueued_tokens_max
        if limit is not None and stored.path.stat().st_size // _BYTES_PER_TOKEN > limit:
            text = "Enqueued token limit reached: try again once some batches have been completed."
            failures.insert(0, _failure("token_limit_exceeded", text))
        if failures:
            batch.failure = {"object": "list", "data": failures[:100]}
        return batch

    async def list_batches(self, request: Request) -> Response:
        """The newest first."""
        limit = min(int(request.query_params.get("limit", 20)), _PAGE_MAX)
        after = request.query_params.get("after")
        found = self._store.of("openai")
        ids = [batch.id for batch in found]
        start = ids.index(after) + 1 if after in ids else 0
        page = found[start : start + limit]
        for batch in page:
            await self._settle(batch)
        more = len(found) > start + limit
        return JSONResponse(_page([self._object(batch) for batch in page], more=more))

    async def retrieve(self, request: Request) -> Response:
        """How a batch is."""
        batch = self._find(request)
        if batch is None:
            return error(404, "invalid_request_error", "No batch found with that id")
        await self._settle(batch)
        return JSONResponse(self._object(batch))

    async def cancel(self, request: Request) -> Response:
        """Ask for an end; what has run stays, and is billed."""
        batch = self._find(request)
        if batch is None:
            return error(404, "invalid_request_error", "No batch found with that id")
        if not self._store.ended(batch) and batch.cancelled_at is None:
            batch.cancelled_at = self._store.clock.now()
        return JSONResponse(self._object(batch))

    def render(self, custom_id: str, fate: Fate, params: dict[str, Any]) -> tuple[bytes, bool]:
        """One line of the output file or of the error file."""
        line: dict[str, Any] = {"id": self._store.new_id("batch_req"), "custom_id": custom_id}
        match fate:
            case Said():
                answer = response(self._store, fate, params["model"], batch=True)
                line |= {"response": self._http(200, answer), "error": None}
            case Refused():
                said = {"message": fate.message, "type": fate.kind, "code": fate.kind}
                line |= {"response": self._http(fate.status, {"error": said}), "error": None}
            case NotRun():
                code, message = _LINE_ERRORS[fate.why]
                line |= {"response": None, "error": {"code": code, "message": message}}
        return json.dumps(line).encode() + b"\n", not isinstance(fate, Said)

    def _http(self, status: int, body: dict[str, Any]) -> dict[str, Any]:
        return {"status_code": status, "request_id": self._store.new_id("req"), "body": body}

    async def _settle(self, batch: Batch) -> None:
        if not batch.finished and self._store.ended(batch):
            await run_in_threadpool(self._store.finish, batch, self.render)
        if batch.finished and "output_file_id" not in batch.extra:
            batch.extra["output_file_id"] = self._keep(batch.results, "output")
            batch.extra["error_file_id"] = self._keep(batch.errors, "error")

    def _keep(self, path: Path, what: str) -> str | None:
        if path.stat().st_size == 0:
            return None
        file_id = self._store.new_id("file")
        self._store.files[file_id] = StoredFile(
            file_id, f"{path.stem}_{what}.jsonl", "batch_output", path, self._store.clock.now()
        )
        return file_id

    def _find(self, request: Request) -> Batch | None:
        batch = self._store.batches.get(request.path_params["id"])
        return batch if batch is not None and batch.provider == "openai" else None

    def _status(self, batch: Batch) -> str:
        now = self._store.clock.now()
        if batch.failure is not None:
            return "failed" if now >= batch.created_at + _VALIDATION_S else "validating"
        if batch.finished:
            if batch.cancelled_at is not None:
                return "cancelled"
            return "expired" if batch.counts.expired else "completed"
        if batch.cancelled_at is not None:
            return "cancelling"
        share = (now - batch.created_at) / max(batch.ends_at - batch.created_at, 0.001)
        if share < _VALIDATED_AT:
            return "validating"
        return "in_progress" if share < _FINALIZING_AT else "finalizing"

    def _object(self, batch: Batch) -> dict[str, Any]:
        status = self._status(batch)
        counts, done = batch.counts, batch.finished
        failed = counts.errored + counts.expired + counts.canceled
        ended_at = int(batch.end()) if done else None
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.extra.get("endpoint"),
            "errors": batch.failure if status == "failed" else None,
            "input_file_id": batch.extra.get("input_file_id"),
            "completion_window": batch.extra.get("completion_window", "24h"),
            "status": status,
            "output_file_id": batch.extra.get("output_file_id"),
            "error_file_id": batch.extra.get("error_file_id"),
            "created_at": int(batch.created_at),
            "expires_at": int(batch.expires_at),
            "completed_at": ended_at if status == "completed" else None,
            "failed_at": int(batch.created_at + _VALIDATION_S) if status == "failed" else None,
            "expired_at": ended_at if status == "expired" else None,
            "cancelled_at": ended_at if status == "cancelled" else None,
            "request_counts": {
                # Zero while validating, as the provider has it.
                "total": 0 if status in {"validating", "failed"} else batch.total,
                "completed": counts.succeeded if done else 0,
                "failed": failed if done else 0,
            },
            "metadata": batch.extra.get("metadata"),
            "simulated": True,
        }


def models() -> Iterator[dict[str, Any]]:
    """Models as OpenAI lists them."""
    for name in TABLE["openai"]:
        yield {"id": name, "object": "model", "created": 1_750_000_000, "owned_by": "simulator"}


def _lines(
    path: Path, endpoint: str, failures: list[dict[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests of an input file; what is wrong with it is collected in `failures`."""
    if endpoint not in _ENDPOINTS:
        failures.append(_failure("invalid_endpoint", f"{endpoint} is not supported"))
    if path.stat().st_size > _BYTES_MAX:
        failures.append(_failure("file_too_large", "the file is larger than 200 MB"))
    seen: set[str] = set()
    model: str | None = None
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            wrong, line = _read(raw, endpoint, seen, model)
            if number > _LINES_MAX:
                wrong = ("too_many_requests", f"at most {_LINES_MAX} requests are allowed")
            if wrong is not None:
                failures.append(_failure(*wrong, line=number))
                continue
            seen.add(line["custom_id"])
            model = model or line["body"].get("model")
            if model not in TABLE["openai"]:
                text = f"The model {model!r} does not exist or does not support batch"
                failures.append(_failure("model_not_found", text, line=number))
            yield line["custom_id"], line["body"]


def _read(  # noqa: PLR0911 - a table of refusals, read from the top
    raw: bytes, endpoint: str, seen: set[str], model: str | None
) -> tuple[tuple[str, str] | None, dict[str, Any]]:
    try:
        line = json.loads(raw)
    except ValueError:
        return ("invalid_json_line", "This line is not parseable as valid JSON."), {}
    if not isinstance(line, dict) or not isinstance(line.get("custom_id"), str):
        return ("missing_required_parameter", "custom_id is required"), {}
    if line["custom_id"] in seen:
        return ("duplicate_custom_id", f"custom_id {line['custom_id']} appears twice"), {}
    if line.get("url") != endpoint or line.get("method") != "POST":
        return ("mismatched_endpoint", "url must equal the batch's endpoint"), {}
    if not isinstance(line.get("body"), dict):
        return ("missing_required_parameter", "body is required"), {}
    if model is not None and line["body"].get("model") != model:
        return ("mismatched_model", "all requests of a batch must use one model"), {}
    return None, line


def _failure(code: str, message: str, *, line: int | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "line": line, "param": None}


def _file(stored: StoredFile) -> dict[str, Any]:
    return {
        "id": stored.id,
        "object": "file",
        "bytes": stored.path.stat().st_size,
        "created_at": int(stored.created_at),
        "filename": stored.filename,
        "purpose": stored.purpose,
        "status": "processed",
        "simulated": True,
    }


def _page(data: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }
