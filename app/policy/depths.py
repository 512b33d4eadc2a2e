"""What a queue's depths of the last hours say: a line to draw, and how fast jobs come and go. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: Rates are of this last while.
RATE_OVER: Final = timedelta(minutes=15)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Depth:
    """How deep one tier's queue was at one moment."""

    tier: str
    at: datetime
    waiting_count: int
    #: How many jobs had come, and how many had left, by then; neither ever gets less.
    queued_count: int
    opened_count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """Jobs a minute."""

    come: float
    leave: float


def rates(depths: Sequence[Depth], *, now: datetime) -> Rates | None:
    """How fast jobs of one tier came and left lately; None where too little is known. Never negative."""
    lately = [one for one in depths if now - one.at <= RATE_OVER]
    if not lately:
        return None
    first, last = min(lately, key=lambda one: one.at), max(lately, key=lambda one: one.at)
    minutes = (last.at - first.at) / _MINUTE
    if minutes <= 0:
        return None
    return Rates(
        come=max(last.queued_count - first.queued_count, 0) / minutes,
        leave=max(last.opened_count - first.opened_count, 0) / minutes,
    )
