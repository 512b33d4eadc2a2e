"""When a notification is tried again, and how long a receiver in trouble is left alone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy import redelivery

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CHANCES = st.floats(0, 1)


@given(attempts=st.integers(1, 30), chance=CHANCES)
def test_the_schedule_is_the_table_within_a_fifth(attempts: int, chance: float) -> None:
    """5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, then 24 h for ever, each +-20 %."""
    table = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    wait = (redelivery.next_try(attempts, now=NOW, chance=chance) - NOW).total_seconds()
    planned = table[min(attempts, 9) - 1]
    assert planned * 0.8 - 1e-6 <= wait <= planned * 1.2 + 1e-6


@given(attempts=st.integers(1, 12), chance=CHANCES)
def test_a_later_attempt_waits_longer(attempts: int, chance: float) -> None:
    """For the same chance no wait is shorter than the one before it."""
    first = redelivery.next_try(attempts, now=NOW, chance=chance)
    assert first <= redelivery.next_try(attempts + 1, now=NOW, chance=chance)


@given(
    attempts=st.integers(1, 12),
    chance=CHANCES,
    ahead=st.timedeltas(min_value=timedelta(days=-3), max_value=timedelta(days=3)),
)
def test_an_expiry_brings_the_next_try_forward_but_never_into_the_past(
    attempts: int, chance: float, ahead: timedelta
) -> None:
    """No wait is longer for it, none is cut by an expiry that has passed."""
    plain = redelivery.next_try(attempts, now=NOW, chance=chance)
    cut = redelivery.next_try(attempts, now=NOW, chance=chance, until=NOW + ahead)
    assert NOW < cut <= plain
    assert cut == (min(plain, NOW + ahead) if ahead > timedelta(0) else plain)


@pytest.mark.parametrize(
    ("asked_s", "wait_s"), [(0, 300), (60, 300), (400, 400), (600, 600), (86_400, 600)]
)
def test_a_receiver_may_ask_for_up_to_twice_the_wait(asked_s: int, wait_s: int) -> None:
    """Sooner than the schedule is not granted, and nobody is put off for a year."""
    asked = timedelta(seconds=asked_s)
    found = redelivery.next_try(2, now=NOW, chance=0.1, asked=asked)
    assert found - NOW == timedelta(seconds=wait_s)


def test_pauses_double_up_to_ten_minutes() -> None:
    """One failure is a hiccup, many are an outage."""
    found = [redelivery.pause(failures).total_seconds() for failures in (0, 1, 2, 3, 7, 8, 10**6)]
    assert found == [5, 5, 10, 20, 320, 600, 600]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("9" * 400, 10**8),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 23 Nov 2026 12:01:00 -0000", 60),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("\u0663", None),
        ("Mon, 99 Nov 2026 12:01:00 GMT", None),
        ("0 NOV 0 0:3000000000", None),
        ("Mon, 23 Nov 99999999999 12:01:00 GMT", None),
        ("nan", None),
        ("1e9", None),
        ("1000000000", 10**8),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: int | None) -> None:
    """What nobody can read asks for nothing."""
    found = redelivery.retry_after(header, now=NOW)
    assert found == (None if seconds is None else timedelta(seconds=seconds))


@given(header=st.text(max_size=40))
def test_no_header_breaks_the_reader(header: str) -> None:
    """It is written by somebody else."""
    found = redelivery.retry_after(header, now=NOW)
    assert found is None or found >= timedelta(0)
