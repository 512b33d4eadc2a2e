"""The life of a batch as a pure function of the clock: both providers, no I/O."""

import random
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

#: A small batch takes this long in simulated seconds; a large one a little longer.
_SHORTEST_S: Final = 60.0
_SPREAD_S: Final = 90.0
_PER_REQUEST_S: Final = 0.0005
#: Shares of a batch's life: validating, then in progress, then finalizing.
_VALIDATED_AT: Final = 0.1
_WORKED_AT: Final = 0.9
#: What runs already when a batch is cancelled is waited for. OpenAI documents up to ten minutes.
_DRAIN_S: Final = 10.0


class Phase(StrEnum):
    """Where a batch is. OpenAI's words; Anthropic shows them as three."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


#: Nothing changes any more, and results are there where there are any.
ENDED: Final = frozenset({Phase.FAILED, Phase.COMPLETED, Phase.EXPIRED, Phase.CANCELLED})


@dataclass(frozen=True, slots=True)
class Timeline:
    """Moments of a batch in simulated seconds since the epoch, in the order of their fields."""

    created_at: float
    validated_at: float
    worked_at: float
    done_at: float
    #: When the window closes, which may be before or after any of the others.
    expires_at: float
    cancelled_at: float | None = None
    #: Refused as a whole when validated.
    invalid: bool = False

    @property
    def ends_at(self) -> float:
        """When nothing changes any more."""
        if self.invalid:
            return self.validated_at
        ends = min(self.done_at, self.expires_at)
        return ends if self.cancelled_at is None else min(ends, self.cancelled_at + _DRAIN_S)

    def phase(self, now: float) -> Phase:
        """Where the batch is at a moment."""
        if now >= self.ends_at:
            return self._end()
        if self.cancelled_at is not None:
            return Phase.CANCELLING
        if now < self.validated_at:
            return Phase.VALIDATING
        return Phase.IN_PROGRESS if now < self.worked_at else Phase.FINALIZING

    def ran(self, total: int, now: float) -> int:
        """How many of its requests had run at a moment; no more run once it is cut short."""
        if self.invalid:
            return 0
        until = min(now, self.expires_at)
        if self.cancelled_at is not None:
            until = min(until, self.cancelled_at)
        if until >= self.worked_at:
            return total
        span = self.worked_at - self.validated_at
        return int(total * max(until - self.validated_at, 0.0) / span)

    def cancel(self, now: float) -> "Timeline":
        """Asked to end at a moment. A batch that has ended, or was cancelled, stays as it is."""
        if now >= self.ends_at or self.cancelled_at is not None:
            return self
        return replace(self, cancelled_at=now, invalid=False)

    def slowed(self, share: float) -> "Timeline":
        """The same life at a share of the speed; a share of 0 never ends within the window."""
        slower = 1 / max(share, 1e-9)
        return replace(
            self,
            worked_at=self.created_at + (self.worked_at - self.created_at) * slower,
            done_at=self.created_at + (self.done_at - self.created_at) * slower,
        )

    def long_done(self) -> "Timeline":
        """The same life, so much earlier that it has ended now."""
        ago = self.ends_at - self.created_at
        return replace(
            self,
            created_at=self.created_at - ago,
            validated_at=self.validated_at - ago,
            worked_at=self.worked_at - ago,
            done_at=self.done_at - ago,
        )

    def _end(self) -> Phase:
        if self.invalid:
            return Phase.FAILED
        if self.cancelled_at is not None:
            return Phase.CANCELLED
        return Phase.EXPIRED if self.expires_at < self.worked_at else Phase.COMPLETED


def plan(
    *, seed: str, total: int, now: float, window_s: float, validated: bool, invalid: bool = False
) -> Timeline:
    """The life of a batch of `total` requests that begins now.

    60 to 150 simulated seconds and half a millisecond a request; the same for the same seed.
    `validated` is a batch that is looked at while it is created, so that work begins at once.
    """
    share = random.Random(seed).random()  # noqa: S311 - repeatable, not secret
    lasts = _SHORTEST_S + _SPREAD_S * share + _PER_REQUEST_S * total
    return Timeline(
        created_at=now,
        validated_at=now if validated else now + lasts * _VALIDATED_AT,
        worked_at=now + lasts * _WORKED_AT,
        done_at=now + lasts,
        expires_at=now + window_s,
        invalid=invalid,
    )
