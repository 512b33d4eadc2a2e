"""Keys of providers: given once, or kept in a file that may be replaced while batches are in flight."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

#: The key as of now; asked before every call.
Key = Callable[[], str]

_KEY_BYTES_MAX: Final = 4096


def given(key: str) -> Key:
    """A key that stays what it is until the process ends. Raises ValueError where it is none."""
    _check(key, "the key")
    return lambda: key


class KeyFile:
    """A key in a file; read again whenever the file has changed. Thread-safe: a look changes one value."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError where the file cannot be read now: a service without its key says so."""
        self._path = path
        try:
            self._seen = self._look()
        except OSError as error:
            raise ValueError(f"the key file {path} cannot be read: {error.strerror}") from error

    def __call__(self) -> str:
        """The key; the last one while the file is away, empty or no key, as it is in the middle of a change."""
        stamp, key = self._seen
        try:
            if self._stamp() != stamp:
                self._seen = self._look()
                return self._seen[1]
        except (OSError, ValueError):
            # The old key may work for a while yet; where it does not, the account's lane pauses and says so.
            return key
        return key

    def _stamp(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def _look(self) -> tuple[tuple[int, int, int], str]:
        # The stamp first: a change right after it is seen at the next look.
        stamp = self._stamp()
        with self._path.open(encoding="utf-8") as file:
            key = file.read(_KEY_BYTES_MAX).strip()
        if not key:
            raise ValueError(f"the key file {self._path} is empty")
        _check(key, f"the key file {self._path}")
        return stamp, key


def _check(key: str, where: str) -> None:
    """A header holds nothing else: a quotation mark out of a word processor would end every call of the account."""
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"{where} holds what no key does: only printable ASCII is one")
