"""What the simulated providers billed: the truth that everybody else's figures are held against."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Any, Final

from simulator.prices import micro_usd

PROVIDERS: Final = ("anthropic", "openai")


@dataclass(frozen=True, slots=True)
class BilledLine:
    """One billed request. `prompt` is the digest of its parameters; `batch_id` None is a direct call."""

    provider: str
    custom_id: str | None
    prompt: str
    nano_usd: int
    batch_id: str | None


@dataclass(slots=True)
class Sum:
    """How many lines, and what they cost."""

    lines: int = 0
    nano_usd: int = 0

    def add(self, other: "Sum") -> None:
        """Take another sum in."""
        self.lines += other.lines
        self.nano_usd += other.nano_usd


class Books:
    """Appended to and read, never corrected. Thread-safe."""

    def __init__(self) -> None:
        self._lines: list[BilledLine] = []
        self._sums: dict[tuple[str, str | None], Sum] = {}
        self._lock = Lock()

    def post(self, lines: Sequence[BilledLine]) -> None:
        """Bill these lines, all at once."""
        with self._lock:
            self._lines.extend(lines)
            for line in lines:
                entry = self._sums.setdefault((line.provider, line.batch_id), Sum())
                entry.add(Sum(1, line.nano_usd))

    def totals(self) -> dict[str, Any]:
        """Sums: over all, by provider, and what direct calls make of it."""
        with self._lock:
            sums = {key: Sum(one.lines, one.nano_usd) for key, one in self._sums.items()}
        whole = Sum()
        by_provider = {name: Sum() for name in PROVIDERS}
        for (provider, _), one in sums.items():
            whole.add(one)
            by_provider[provider].add(one)
        direct = {name: sums.get((name, None), Sum()) for name in PROVIDERS}
        return {
            **_shown(whole),
            "by_provider": {name: _shown(one) for name, one in by_provider.items()},
            "direct": {
                name: {"requests": one.lines, **_shown(one)} for name, one in direct.items()
            },
        }

    def of_batch(self, provider: str, batch_id: str) -> Sum:
        """What one batch cost."""
        with self._lock:
            found = self._sums.get((provider, batch_id), Sum())
            return Sum(found.lines, found.nano_usd)

    def page(
        self, *, provider: str | None, custom_id: str | None, offset: int, limit: int
    ) -> list[BilledLine]:
        """Lines in the order they were billed, only those that match what is given."""
        with self._lock:
            return list(islice(self._matching(provider, custom_id), offset, offset + limit))

    def repeats(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        """Requests that were billed more than once, by the digest of their parameters."""
        with self._lock:
            counts = Counter((line.provider, line.prompt) for line in self._lines)
        found = (
            {"provider": provider, "prompt": prompt, "times": times}
            for (provider, prompt), times in counts.items()
            if times > 1
        )
        return list(islice(found, offset, offset + limit))

    def _matching(self, provider: str | None, custom_id: str | None) -> Iterator[BilledLine]:
        return (
            line
            for line in self._lines
            if provider in (None, line.provider) and custom_id in (None, line.custom_id)
        )


def _shown(one: Sum) -> dict[str, int]:
    return {
        "lines": one.lines,
        "billed_nano_usd": one.nano_usd,
        "billed_micro_usd": micro_usd(one.nano_usd),
    }
