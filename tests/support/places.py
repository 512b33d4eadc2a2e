"""Where the data of servers lies that nobody keeps."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

#: A file system in memory, where there is one.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of one's own is made in it
#: More than a run's servers ever fill; containers often have a few megabytes.
_ROOM_BYTES: Final = 4 * 1024**3


@contextmanager
def passing() -> Iterator[Path]:
    """A directory that is gone afterwards, in memory where there is room.

    A copy of a ledger is some hundred new files, and making them is what a disk is slow at: most of what it took to
    begin a test.
    """
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES
    with TemporaryDirectory(prefix="unhurried-", dir=_MEMORY if roomy else None) as name:
        yield Path(name)
