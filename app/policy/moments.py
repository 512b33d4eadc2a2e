"""Moments as people say them: in ISO form, or as a span from now. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

from unhurried.spans import seconds

#: What is said where a due time is to be taken away.
NEVER: Final = "never"


def later(text: str, *, now: datetime) -> datetime:
    """A moment (UTC where it names no zone), or a span that leads on from now: `8h`. Raises ValueError."""
    return _iso(text) or _from(now, seconds(text))


def earlier(text: str, *, now: datetime) -> datetime:
    """The same, with spans that lead back."""
    return _iso(text) or _from(now, -seconds(text))


def due(text: str, *, now: datetime) -> datetime | None:
    """A due time; None for `never`."""
    return None if text == NEVER else later(text, now=now)


def _from(now: datetime, span_s: float) -> datetime:
    try:
        return now + timedelta(seconds=span_s)
    except OverflowError:
        raise ValueError("that is beyond the calendar") from None


def _iso(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
