"""What the simulated providers billed: the truth that everybody else's figures are held against."""

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from simulator.prices import Tokens, micro_usd, nano_usd


@dataclass(frozen=True, slots=True)
class BilledLine:
    """One billed request."""

    provider: str
    custom_id: str | None
    prompt: str
    nano_usd: int
    batch_id: str | None


@dataclass(slots=True)
class Books:
    """Appended to and read; thread-safe."""

    lines: list[BilledLine] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def bill(
        self,
        provider: str,
        model: str,
        tokens: Tokens,
        *,
        prompt: str,
        custom_id: str | None = None,
        batch_id: str | None = None,
    ) -> None:
        """Bill one request; half price inside a batch."""
        nanos = nano_usd(provider, model, tokens, batch=batch_id is not None)
        with self._lock:
            self.lines.append(BilledLine(provider, custom_id, prompt, nanos, batch_id))

    def totals(self) -> dict[str, Any]:
        """Sums, over all and by provider."""
        with self._lock:
            lines = list(self.lines)
        return {
            **_sums(lines),
            "by_provider": {
                name: _sums([line for line in lines if line.provider == name])
                for name in ("anthropic", "openai")
            },
            "direct": {
                name: _sums([one for one in lines if one.provider == name and one.batch_id is None])
                for name in ("anthropic", "openai")
            },
        }

    def of_batch(self, batch_id: str) -> list[BilledLine]:
        """What one batch cost, line by line."""
        with self._lock:
            return [line for line in self.lines if line.batch_id == batch_id]

    def repeats(self) -> list[dict[str, Any]]:
        """Prompts that were billed more than once."""
        with self._lock:
            counts = Counter((line.provider, line.prompt) for line in self.lines)
        return [
            {"provider": provider, "prompt": prompt, "times": times}
            for (provider, prompt), times in counts.items()
            if times > 1
        ]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.lines.clear()


def _sums(lines: list[BilledLine]) -> dict[str, int]:
    nanos = sum(line.nano_usd for line in lines)
    return {"lines": len(lines), "billed_nano_usd": nanos, "billed_micro_usd": micro_usd(nanos)}
