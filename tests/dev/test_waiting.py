"""Waiting with a name and a bound."""

import pytest

from tests.support.waiting import wait_until


def test_a_wait_gives_the_first_true_value() -> None:
    """The condition is asked until it is true, and its value is the answer."""
    values = iter([0, None, "", 3, 4])

    assert wait_until(lambda: next(values), within_s=10, what="a number") == 3


def test_a_wait_that_fails_says_for_what_and_what_it_saw() -> None:
    """The error names the condition, the bound and the last value seen."""
    with pytest.raises(AssertionError, match=r"^waited 0\.05 s for three parts; last seen: \[\]$"):
        wait_until(list, within_s=0.05, what="three parts")


def test_a_condition_is_asked_once_even_without_time() -> None:
    """A bound of nothing still looks."""
    assert wait_until(lambda: "seen", within_s=0, what="a look") == "seen"
