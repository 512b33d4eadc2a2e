"""OpenAI's wire: files."""

import json
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from simulator import literals, queries
from simulator.bodies import Upload, spool_upload
from simulator.openai_shapes import file_object, page
from simulator.problems import ProblemError, bad, missing
from simulator.store import Store, StoredFile

#: OpenAI documents 512 MB a file; a batch's 200 MB are looked at when the batch is validated.
_BYTES_MAX: Final = 512_000_000
_PAGE_MAX: Final = 10_000
#: OpenAI documents that files of a batch expire after 30 days, and what may be asked for instead.
KEPT_S: Final = 30 * 24 * 3600
_KEPT_LEAST_S: Final = 3600


class Files:
    """Routes of a project's files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            Route("/v1/files", self.upload, methods=["POST"]),
            Route("/v1/files", self.list_files, methods=["GET"]),
            Route("/v1/files/{id}", self.retrieve, methods=["GET"]),
            Route("/v1/files/{id}", self.delete, methods=["DELETE"]),
            Route("/v1/files/{id}/content", self.content, methods=["GET"]),
        ]

    def seed_literals(self) -> None:
        """Make the files that an SDK's own suite asks for."""
        for file_id in literals.FILE_IDS:
            path = self._store.path(file_id)
            path.write_text(json.dumps(literals.input_line()) + "\n", "utf-8")
            now = self._store.clock.now()
            self._store.files[file_id] = StoredFile(file_id, literals.FILENAME, "batch", path, now)
            self._store.permanent.add(file_id)

    async def upload(self, request: Request) -> Response:
        """Keep a file, whatever is in it."""
        if int(request.headers.get("content-length", 0)) > _BYTES_MAX:
            raise ProblemError(413, "invalid_request_error", "The file is too large.")
        file_id = self._store.new_id("file")
        path = self._store.path(file_id)
        uploaded = await spool_upload(request, path)
        if uploaded is None:
            raise bad("'file' is a required property")
        purpose = str(uploaded.fields.get("purpose", ""))
        if not purpose:
            await run_in_threadpool(path.unlink)
            raise bad("'purpose' is a required property")
        now = self._store.clock.now()
        kept_s = _kept_s(uploaded) or (KEPT_S if purpose == "batch" else None)
        expires_at = now + kept_s if kept_s is not None else None
        stored = StoredFile(file_id, uploaded.filename, purpose, path, now, expires_at)
        self._store.files[file_id] = stored
        return JSONResponse(file_object(stored))

    async def list_files(self, request: Request) -> Response:
        """Files, the newest first unless asked otherwise."""
        limit = queries.number(request, "limit", default=_PAGE_MAX, least=1, most=_PAGE_MAX)
        query = request.query_params
        purpose = query.get("purpose")
        known = (self._store.file(file_id) for file_id in list(self._store.files))
        found = [one for one in known if one is not None and purpose in (None, one.purpose)]
        if query.get("order") != "asc":
            found.reverse()
        files, more = queries.after(found, query.get("after"), limit=limit, key=lambda one: one.id)
        return JSONResponse(page([file_object(one) for one in files], more=more))

    async def retrieve(self, request: Request) -> Response:
        """What is known of a file."""
        return JSONResponse(file_object(self._find(request)))

    async def delete(self, request: Request) -> Response:
        """Forget a file."""
        stored = self._find(request)
        self._store.forget_file(stored.id)
        return JSONResponse({"id": stored.id, "object": "file", "deleted": True})

    async def content(self, request: Request) -> Response:
        """A file's bytes."""
        return FileResponse(self._find(request).path, media_type="application/octet-stream")

    def _find(self, request: Request) -> StoredFile:
        stored = self._store.file(request.path_params["id"])
        if stored is None:
            raise missing("openai", f"File object: {request.path_params['id']}")
        return stored


def _kept_s(uploaded: Upload) -> int | None:
    """The lifetime that was asked for in a form field, `expires_after[seconds]`."""
    return kept_seconds(uploaded.fields.get("expires_after[seconds]"))


def kept_seconds(asked: Any) -> int | None:
    """A lifetime in seconds as a caller asks for it; a 400 where OpenAI does not offer it."""
    if asked is None:
        return None
    try:
        seconds = int(asked)
    except (TypeError, ValueError) as error:
        raise bad("expires_after.seconds: a whole number was expected") from error
    if not _KEPT_LEAST_S <= seconds <= KEPT_S:
        raise bad(f"expires_after.seconds: {_KEPT_LEAST_S} to {KEPT_S} was expected")
    return seconds
