"""Simulated time: starts at the real moment and runs `speed` times as fast."""

import time
from datetime import UTC, datetime


class Clock:
    """One clock for all that is simulated. Reports seconds since the epoch."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._started_at = time.time()
        self._zero = time.monotonic()

    def now(self) -> float:
        """Simulated seconds since the epoch."""
        return self._started_at + (time.monotonic() - self._zero) * self.speed


def rfc3339(moment: float | None) -> str | None:
    """A moment as Anthropic writes it; None stays None."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def unix(moment: float | None) -> int | None:
    """A moment as OpenAI writes it, in whole seconds; None stays None."""
    return None if moment is None else int(moment)
