"""When to look at a provider batch again. Pure."""

from datetime import timedelta
from typing import Final

#: Batches that have run for long rarely end in the next minute: wait a tenth of their age.
_SHARE_OF_AGE: Final = 0.1


def next_poll(
    age: timedelta, *, shortest: timedelta, longest: timedelta, retry_after_s: float | None = None
) -> timedelta:
    """The wait before the next look at a batch accepted `age` ago; the provider's wish is kept."""
    wait = min(max(age * _SHARE_OF_AGE, shortest), longest)
    return wait if retry_after_s is None else max(wait, timedelta(seconds=retry_after_s))
