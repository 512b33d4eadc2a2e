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


def stream(response: httpx2.Response, into: BinaryIO, *, bytes_max: int | None = None) -> int:
    """Write the body, ending in a newline so that another file may follow. Returns the bytes written.

    With `bytes_max` only its beginning, up to the last line that is whole within them; nothing where
    none is.

    Raises CutShortError, and what the HTTP library raises when the connection breaks.
    """
    if bytes_max is not None and _stated_length(response) > bytes_max:
        return _head(response, into, bytes_max)
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


def _head(response: httpx2.Response, into: BinaryIO, bytes_max: int) -> int:
    begun = bytearray()
    for chunk in response.iter_bytes(CHUNK_BYTES):
        begun += chunk
        if len(begun) >= bytes_max:
            break
    whole = begun[: begun.rfind(b"\n") + 1]
    into.write(whole)
    return len(whole)


def _stated_length(response: httpx2.Response) -> float:
    """What the headers say; a body that states none may be of any length."""
    stated = response.headers.get("content-length", "")
    return int(stated) if stated.isdecimal() else float("inf")


def _check_length(response: httpx2.Response) -> None:
    stated = response.headers.get("content-length", "")
    got = response.num_bytes_downloaded
    if stated.isdecimal() and int(stated) != got:
        raise CutShortError(f"{got} bytes of {stated}")
