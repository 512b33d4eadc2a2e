"""Counts of what no row of the ledger stands for: gathered in the process, written by a thread of its own."""

import atexit
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from app.observe.log import tell

#: Between two writes. A process that is killed loses what it counted since the last one, and nothing else.
_EVERY_S: Final = 1.0

#: A metric's name and its labels' values.
Key = tuple[str, tuple[str, ...]]


class Counts:
    """Counts of one process. Safe to share between threads; labels must be closed sets, or it grows."""

    def __init__(
        self, write: Callable[[Mapping[Key, int]], None], *, every_s: float = _EVERY_S
    ) -> None:
        """`write` adds to what is stored, all of it or nothing, and raises where it could not."""
        self._write = write
        self._every_s = every_s
        self._lock = threading.Lock()
        self._waiting: Counter[Key] = Counter()
        self._some = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False

    def note(self, name: str, *labels: str) -> None:
        """One more. Returns at once; the first starts the thread, which ends with the process."""
        with self._lock:
            self._waiting[name, labels] += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._go_on, name="counts", daemon=True)
                self._thread.start()
                atexit.register(self.flush)
        self._some.set()

    def flush(self) -> None:
        """Write what there is. What cannot be written stays, and is written with what comes."""
        with self._lock:
            taken, self._waiting = self._waiting, Counter()
            self._some.clear()
        if not taken:
            return
        try:
            self._write(taken)
        except Exception as error:  # noqa: BLE001 - no count may stop the work that it counts
            with self._lock:
                self._waiting.update(taken)
            if not self._failing:
                tell("counts_wait", warning=True, reason=type(error).__name__)
            self._failing = True
            return
        self._failing = False

    def _go_on(self) -> None:
        pause = threading.Event()
        while True:
            self._some.wait()
            pause.wait(self._every_s)
            self.flush()
            if self._failing:
                self._some.set()
