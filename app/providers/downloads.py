"""Streams a result file to disk, so that one cut short never looks whole."""

from typing import BinaryIO, Final

import httpx2

CHUNK_BYTES: Final = 65_536
#: Asked of results: compression would hide their length, and a small file could fill the disk.
PLAIN: Final = {"Accept-Encoding": "identity"}
#: How far a reply that is compressed all the same may grow.
_GROWTH_MAX: Final = 100
_GROWTH_FLOOR_BYTES: Final = 1024 * 1024


class CutShortError(Exception):
    """The body ended before, or grew beyond, what its headers said."""


def stream(response: httpx2.Response, into: BinaryIO) -> int:
    """Write the body, ending in a newline so that another file may follow. Returns the bytes written.

    Raises CutShortError, and what the HTTP library raises when the connection breaks.
    """
    written = 0
    last = b"\n"
    for chunk in response.iter_bytes(CHUNK_BYTES):
        into.write(chunk)
        written += len(chunk)
        last = chunk[-1:] or last
        if written > _GROWTH_FLOOR_BYTES + _GROWTH_MAX * response.num_bytes_downloaded:
            raise CutShortError("the body unpacks to more than a hundred times its size")
    _check_length(response)
    if last != b"\n":
        into.write(b"\n")
        written += 1
    return written


def rewind(into: BinaryIO, position: int) -> None:
    """Take back everything written since `position`: half a file must not be mistaken for one."""
    into.seek(position)
    into.truncate()


def _check_length(response: httpx2.Response) -> None:
    stated = response.headers.get("content-length", "")
    got = response.num_bytes_downloaded
    if stated.isdecimal() and int(stated) != got:
        raise CutShortError(f"{got} bytes of {stated}")
