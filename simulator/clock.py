"""Simulated time: starts at the real moment and runs `speed` times as fast."""

import time
from datetime import UTC, datetime


class Clock:
    """One clock for all that is simulated."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._started_at = time.time()
        self._zero = time.monotonic()

    def now(self) -> float:
        """Simulated seconds since the epoch."""
        return self._started_at + (time.monotonic() - self._zero) * self.speed


def rfc3339(moment: float) -> str:
    """A moment as Anthropic writes it."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
