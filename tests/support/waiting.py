"""Wait for a named condition within a bound: the only place of the tests that sleeps."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

_POLL_S: Final = 0.02

Seen = TypeVar("Seen")


def wait_until_quiet(look: Callable[[], object], *, quiet_s: float, every_s: float) -> None:
    """Wait until `look()`, asked every so often, has given the same for `quiet_s`.

    Whatever goes on changing is for the bound of the test itself.
    """
    before, until = look(), time.monotonic() + quiet_s
    while time.monotonic() < until:
        time.sleep(every_s)
        now = look()
        if now != before:
            before, until = now, time.monotonic() + quiet_s


def wait_until(condition: Callable[[], Seen | None], *, within_s: float, what: str) -> Seen:
    """The first true value of `condition()`, which is called at least once and may be called often.

    Raises AssertionError after `within_s` seconds: it names `what` and quotes the last value seen.
    """
    until = time.monotonic() + within_s
    while not (seen := condition()):
        if time.monotonic() >= until:
            raise AssertionError(f"waited {within_s:g} s for {what}; last seen: {seen!r}")
        time.sleep(_POLL_S)
    return seen
