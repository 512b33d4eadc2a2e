"""`attach`: images, PDFs and audio that are too large for a message travel as the name of their content.

photo = attach("cat.png")
{"type": "image", "source": {"type": "base64", "media_type": photo.media_type, "data": photo.base64}}
{"type": "input_image", "image_url": photo.data_url}
"""

import mimetypes
import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

from unhurried import storage
from unhurried.contract import ATTACHMENT_KEY, AttachedAs
from unhurried.errors import CallerMisconfigured, CallError

_UNKNOWN: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Attachment:
    """Content that lies in storage. What its properties give stands in a request for the content."""

    #: SHA-256, in hexadecimal.
    digest: str
    bytes_count: int
    media_type: str

    @property
    def base64(self) -> dict[str, Any]:
        """Stands where a provider wants base64 alone."""
        return self._reference(AttachedAs.BASE64)

    @property
    def data_url(self) -> dict[str, Any]:
        """Stands where a provider wants a `data:` URL."""
        return self._reference(AttachedAs.DATA_URL)

    def _reference(self, form: AttachedAs) -> dict[str, Any]:
        return {
            "as": str(form),
            "bytes": self.bytes_count,
            "media_type": self.media_type,
            ATTACHMENT_KEY: f"sha256:{self.digest}",
        }


def attach(
    source: "str | os.PathLike[str] | bytes", *, media_type: str | None = None
) -> Attachment:
    """Put content into storage, once however often it is attached; a file is read in portions.

    `media_type` follows from a file's name unless it is said. Raises CallerMisconfigured where
    UNHURRIED_STORAGE names no storage, CallError where there is nothing to attach, OSError where a file
    cannot be read or stored.
    """
    if isinstance(source, bytes):
        if media_type is None:
            raise CallError("attach(bytes) needs media_type=, such as 'image/png'")
        return _stored(BytesIO(source), media_type)
    guessed = media_type or mimetypes.guess_type(str(source))[0] or _UNKNOWN
    with Path(source).open("rb") as file:
        return _stored(file, guessed)


def _stored(file: BinaryIO, media_type: str) -> Attachment:
    digest, size = storage.digest_of(storage.chunks(file))
    if not size:
        raise CallError("an empty file cannot be attached")
    file.seek(0)
    _storage().put(digest, storage.chunks(file))
    return Attachment(digest, size, media_type)


def _storage() -> storage.Storage:
    url = os.environ.get(storage.VARIABLE)
    if not url:
        raise CallerMisconfigured(
            storage.VARIABLE,
            "not set",
            "name the directory that you share with the service, as file:///srv/unhurried",
        )
    try:
        return storage.at(url)
    except ValueError as error:
        raise CallerMisconfigured(storage.VARIABLE, url, str(error)) from None
