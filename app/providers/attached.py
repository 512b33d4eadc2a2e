"""Puts attachments into a request as it is handed to a provider, in constant memory.

Content that is missing or is not what was attached fails its job before anything is bought.
"""

import base64
import hashlib
from collections.abc import Iterator
from typing import Final

from app.policy import attachments
from app.policy.attachments import Reference
from unhurried.storage import VARIABLE, Storage

#: A multiple of three, so that pieces of base64 add up to one.
_CHUNK_BYTES: Final = 3 * (1 << 18)


class UnattachedError(Exception):
    """An attachment cannot be had: `code` is for programs, the text for people.

    `passing` where storage itself cannot be read now; otherwise it will not come back.
    """

    def __init__(self, code: str, message: str, *, passing: bool = False) -> None:
        self.code = code
        self.passing = passing
        super().__init__(message)


class Attached:
    """Reads attachments from storage."""

    def __init__(self, storage: Storage | None) -> None:
        self._storage = storage

    def chunks(self, request: bytes) -> Iterator[bytes]:
        """The request with its attachments in it. Raises UnattachedError, perhaps after some chunks."""
        if not attachments.may_be_in(request):
            yield request
            return
        for part in attachments.parts(request):
            match part:
                case bytes():
                    yield part
                case Reference():
                    yield b'"' + part.prefix
                    yield from self._content(part)
                    yield b'"'

    def whole(self, request: bytes) -> bytes:
        """The request with its attachments in it, in memory. Raises UnattachedError."""
        return b"".join(self.chunks(request)) if attachments.may_be_in(request) else request

    def _content(self, reference: Reference) -> Iterator[bytes]:
        name = f"attachment {reference.digest[:12]}"
        if self._storage is None:
            raise UnattachedError("no_storage", f"{name}: {VARIABLE} is not set", passing=True)
        digest, size = hashlib.sha256(), 0
        try:
            with self._storage.open(reference.digest) as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    yield base64.b64encode(chunk)
        except FileNotFoundError as error:
            raise UnattachedError("attachment_missing", f"{name} is not in storage") from error
        except OSError as error:
            raise UnattachedError("no_storage", f"{name}: {error}", passing=True) from error
        if digest.hexdigest() != reference.digest or size != reference.bytes_count:
            raise UnattachedError(
                "attachment_altered",
                f"{name} is not what was attached: {size:,} bytes, where there were "
                f"{reference.bytes_count:,}",
            )
