"""Reads the ledger every so often in a thread of its own, or when asked, and keeps the last reading that succeeded."""

import threading
import time
from collections.abc import Callable
from typing import Final

from app.observe.log import tell
from app.observe.reading import Reading, Seen
from app.policy.standing import Standing

#: A reading is fresh for this many periods.
_FRESH_ROUNDS: Final = 4


class Periodic:
    """A monitor. `start` may be repeated; reads are never under way twice at a time."""

    def __init__(
        self,
        read: Callable[[], Reading],
        *,
        every_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads nothing yet. `read` may raise anything."""
        self._read = read
        self._every_s = every_s
        self._monotonic = monotonic
        #: A reading and when it was begun, in one, so that no thread sees one without the other.
        self._last: tuple[Reading, float] | None = None
        self._failed: Standing | None = None
        #: When the last try began, whatever came of it.
        self._tried: float | None = None
        self._reading = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Read now and every period, in a thread that ends with the process."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._go_on, name="monitor", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stopped.set()

    def refresh(self) -> None:
        """Read once. Where that fails, what was read before stays."""
        with self._reading:
            self._read_once()

    def refresh_if_older(self, than_s: float) -> None:
        """Read once unless that was tried less than `than_s` seconds ago: a store that is down is not stormed."""
        with self._reading:
            if self._tried is None or self._monotonic() - self._tried >= than_s:
                self._read_once()

    def _read_once(self) -> None:
        began = self._tried = self._monotonic()
        try:
            reading = self._read()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next period tries again
            self._fail(Standing(ledger_error=type(error).__name__))
            return
        if reading.standing.ledger_error is not None:
            self._fail(reading.standing)
            return
        self._last = (reading, began)
        if self._failed is not None:
            tell("monitor_sees")
        self._failed = None

    def seen(self) -> Seen:
        """The last reading. Returns at once."""
        reading, began = self._last or (None, self._monotonic())
        return Seen(reading=reading, age_s=self._monotonic() - began, failed=self._failed)

    def ready(self) -> bool:
        """Whether the ledger could be read lately."""
        seen = self.seen()
        return seen.up and seen.age_s < _FRESH_ROUNDS * self._every_s

    def _fail(self, found: Standing) -> None:
        if self._failed is None:
            tell("monitor_blind", warning=True, reason=found.ledger_error)
        self._failed = found

    def _go_on(self) -> None:
        while not self._stopped.is_set():
            self.refresh()
            self._stopped.wait(self._every_s)
