"""A create that lands after it was given up: Anthropic has no door to shut, so it is found and booked."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.providers.adapters import KINDS
from tests.submitting.conftest import Road
from tests.submitting.test_search import assert_bought_once
from tests.support.waiting import wait_until

JOBS = 20


@pytest.mark.parametrize("road", KINDS[:1], ids=["anthropic"], indirect=True)
def test_a_create_that_lands_after_it_was_given_up_is_found_and_booked(road: Road) -> None:
    """
    Anthropic has no door to shut: the second batch is paid, and every nano-dollar of it is known.
    """
    late = replace(road, sweep_every=timedelta(0))
    late.admit(JOBS)
    late.arm("late", hold_s=30)
    late.packer.run()
    late.submitter.run()
    late.until("submission", ["absent", "accepted"])
    road.simulator.ask("/_faults", method="DELETE")
    late.until_done(JOBS)
    wait_until(lambda: _booked(late), within_s=30, what="the stray's booking")

    ours, theirs = late.booked_nano_usd()
    assert ours == theirs > 0
    assert [(True,)] == late.rows("SELECT ours FROM stray")


@pytest.mark.parametrize("road", KINDS[:1], ids=["anthropic"], indirect=True)
def test_a_late_batch_that_another_submission_adopted_is_booked_when_it_turns_out(
    road: Road,
) -> None:
    """
    Nothing else can be the second one's, so it is adopted; its results say that it is the first one's.
    """
    _give_up_a_late_one_and_look_for_another(road)

    road.simulator.ask("/_faults", method="DELETE")
    road.until("submission", ["absent", "collected", "accepted"])
    road.until_done(2 * JOBS)
    wait_until(lambda: _booked(road), within_s=30, what="the stray's booking")

    ours, theirs = road.booked_nano_usd()
    assert ours == theirs > 0
    assert [(True,)] == road.rows("SELECT ours FROM stray")


@pytest.mark.parametrize("road", KINDS[:1], ids=["anthropic"], indirect=True)
def test_a_late_batch_that_another_search_comes_across_is_booked(road: Road) -> None:
    """
    It has ended and is as large as what is looked for: its results say whose it is, and it is nobody else's.
    """
    searching = replace(road, sweep_every=timedelta(0))
    _give_up_a_late_one_and_look_for_another(searching)
    road.simulator.ask("/_faults", method="DELETE")
    wait_until(
        lambda: searching.simulator.books()["lines"] == 2 * JOBS, within_s=30, what="its end"
    )

    wait_until(lambda: _looked_for(searching), within_s=20, what="a look")
    assert [] == searching.rows("SELECT * FROM stray")
    searching.until_done(2 * JOBS)
    wait_until(lambda: _booked(searching), within_s=30, what="the stray's booking")

    assert ["absent", "collected", "absent", "collected"] == searching.states()
    ours, theirs = searching.booked_nano_usd()
    assert ours == theirs > 0


@pytest.mark.parametrize("road", KINDS[1:], ids=["openai"], indirect=True)
def test_a_create_that_would_land_late_cannot_where_its_file_is_gone(road: Road) -> None:
    """
    The input file was deleted before the batch was given up.
    """
    road.admit(JOBS)
    road.arm("late", hold_s=30)
    road.packer.run()
    road.submitter.run()
    road.until("submission", ["absent", "accepted"])
    road.simulator.ask("/_faults", method="DELETE")
    road.until_done(JOBS)

    assert_bought_once(road)
    assert 1 == len(road.simulator.books()["batches"])


def _give_up_a_late_one_and_look_for_another(road: Road) -> None:
    """Of the same size; the late one lands once the faults are cleared."""
    road.admit(JOBS)
    road.arm("late", hold_s=60)
    road.packer.run()
    road.submitter.run()
    road.until("submission", ["absent", "collected"])
    road.admit(JOBS, account="default")
    road.packer.run()
    road.arm("error_instead", status=500)
    road.submitter.run()
    assert ["absent", "collected", "unknown"] == road.states()


def _looked_for(road: Road) -> bool:
    """Whether the search has come across somebody's ended batch, which the sweep has not seen yet."""
    road.search.run()
    found = road.rows("SELECT last_error FROM submission WHERE state = 'unknown'")
    return "the sweep accounts for it" in str(found)


def _booked(road: Road) -> bool:
    road.once()
    return [(True,)] == road.rows("SELECT closed_at IS NOT NULL FROM stray WHERE ours")
