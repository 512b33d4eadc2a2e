"""Request bodies to disk, and multipart uploads out of them, without holding them in memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

_CHUNK_BYTES = 1 << 20


async def spool_body(request: Request, path: Path, *, most: int) -> int | None:
    """Write a body to `path`; its size, or None where it is larger than `most`."""
    size = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                break
            file.write(chunk)
    if size > most:
        path.unlink()  # noqa: ASYNC240 - one unlink of a file of our own
        return None
    return size


@dataclass(frozen=True, slots=True)
class Upload:
    """One uploaded file and the form fields beside it."""

    filename: str
    size: int
    fields: dict[str, Any]


async def spool_upload(request: Request, path: Path) -> Upload | None:
    """Write the uploaded `file` of a multipart form to `path`; None where there is none."""
    async with request.form() as form:
        part = form.get("file")
        if not isinstance(part, UploadFile):
            return None
        size = 0
        with path.open("wb") as file:
            while chunk := await part.read(_CHUNK_BYTES):
                size += len(chunk)
                file.write(chunk)
        fields = {name: value for name, value in form.items() if name != "file"}
        return Upload(part.filename or "file", size, fields)
