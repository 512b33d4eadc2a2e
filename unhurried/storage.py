"""Where attachments are kept: a directory that callers and service share, its files named by content.

UNHURRIED_STORAGE names it on both sides, as `file:///srv/unhurried`. Whatever else can hold files by name
can stand in for `Directory`: two methods are all.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final, Protocol
from urllib.parse import unquote, urlsplit
from uuid import uuid4

VARIABLE: Final = "UNHURRIED_STORAGE"
_CHUNK_BYTES: Final = 1 << 20


class Storage(Protocol):
    """Holds content under its SHA-256, in hexadecimal."""

    def put(self, digest: str, chunks: Iterable[bytes]) -> None:
        """Keep content; may be repeated. Raises OSError."""
        ...

    def open(self, digest: str) -> BinaryIO:
        """Read content. Raises FileNotFoundError where there is none, or another OSError."""
        ...


class Directory:
    """Storage in a directory: local, or mounted on every machine that publishes or sends."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, digest: str, chunks: Iterable[bytes]) -> None:
        """See `Storage`. What is there already counts as new: operators may delete by age."""
        place = self._place(digest)
        try:
            os.utime(place)
        except FileNotFoundError:
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_name(f"{digest}.{uuid4().hex}.part")
            try:
                with part.open("xb") as file:
                    file.writelines(chunks)
                part.replace(place)
            finally:
                part.unlink(missing_ok=True)

    def open(self, digest: str) -> BinaryIO:
        """See `Storage`. A directory that is not mounted is no proof that content is missing."""
        try:
            return self._place(digest).open("rb")
        except FileNotFoundError:
            if not self.path.is_dir():
                msg = f"{self.path} is not there"
                raise OSError(msg) from None
            raise

    def _place(self, digest: str) -> Path:
        return self.path / digest[:2] / digest


def at(url: str) -> Directory:
    """The storage that a URL names. Raises ValueError that says what a URL of one looks like."""
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not path.is_absolute():
        msg = (
            f"{VARIABLE}={url!r} names no storage: write an absolute path as file:///srv/unhurried"
        )
        raise ValueError(msg)
    return Directory(path)


def chunks(file: BinaryIO) -> Iterable[bytes]:
    """A file in portions, from where it stands."""
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def digest_of(portions: Iterable[bytes]) -> tuple[str, int]:
    """The SHA-256 of some content, in hexadecimal, and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    for portion in portions:
        digest.update(portion)
        size += len(portion)
    return digest.hexdigest(), size
