"""When a notification is tried again, and how long a receiver that fails is left alone. Pure."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

#: Standard Webhooks' table: waits before the second and each further try.
_WAITS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
_JITTER: Final = 0.2
_PAUSE_MIN: Final = timedelta(seconds=5)
_PAUSE_MAX: Final = timedelta(minutes=10)


def next_try(
    attempts: int,
    *,
    now: datetime,
    chance: float,
    until: datetime | None = None,
    asked: timedelta | None = None,
) -> datetime:
    """When to try again after `attempts` tries; `chance` in 0..1 spreads senders apart.

    A receiver may ask for a later try (`asked`), up to twice the schedule's wait. What expires
    `until` then is tried then at the latest: its person learns at once, and not a day afterwards,
    that it has to be asked for again.
    """
    wait = _WAITS[min(max(attempts, 1), len(_WAITS)) - 1]
    if asked is not None:
        return now + min(max(asked, wait), 2 * wait)
    planned = now + wait * (1 - _JITTER + 2 * _JITTER * chance)
    return until if until is not None and now < until < planned else planned


def pause(failures: int) -> timedelta:
    """How long a receiver gets nothing at all after this many failures in a row."""
    doublings = min(max(failures, 1) - 1, 20)
    return min(_PAUSE_MIN * (1 << doublings), _PAUSE_MAX)


def retry_after(header: str | None, *, now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for; None where there is none, or nobody can read it."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 10**8))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(moment - now, timedelta(0))
