"""A create without a clear reply, and a batch that may be its, whose result file holds no line.

Its lines may be late: then they are ours, and paid for. Or it holds nothing: then everybody waits for nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.providers.adapters import KINDS, build
from tests.simulator.conftest import Simulator, say
from tests.submitting.conftest import Road
from tests.submitting.test_search import assert_bought_once
from tests.support.waiting import wait_until

JOBS = 3
#: As the road is set up, and more of them.
LOOKS_ENOUGH = 3
LOOKS = 5
#: The clock of a simulator in haste is ahead of ours.
AT_ONCE = timedelta(days=-365)
#: When the batch is come across: one that still runs is adopted, and has to prove itself afterwards.
FOUND = ["ended", "running"]
RESULTS = "/v1/messages/batches/*/results"


@pytest.fixture
def road(
    request: pytest.FixtureRequest, engine: Engine, simulator: Simulator, tmp_path: Path
) -> Iterator[Road]:
    """At Anthropic, whose batches have no other mark; the parameter is how late lines may be."""
    provider = build(KINDS[0], simulator.url)
    late: timedelta = getattr(request, "param", timedelta(hours=1))
    yield Road(provider.name, engine, simulator, provider, tmp_path / "spool", empty_after=late)
    provider.close()


@pytest.mark.parametrize("found", FOUND)
def test_lines_that_come_late_are_waited_for(road: Road, found: str) -> None:
    """Empty at every one of many looks, and then whole: nothing was bought again meanwhile."""
    _lose_the_reply(road, found)
    _empty(road)
    for _ in range(LOOKS):
        _look(road)
    assert [{"ended": "unknown", "running": "accepted"}[found]] == road.states()
    assert [] == road.rows("SELECT * FROM stray")

    road.simulator.ask("/_faults", method="DELETE")
    road.until_done(JOBS)

    assert ["collected"] == road.states()
    assert_bought_once(road, JOBS)


@pytest.mark.parametrize("found", FOUND)
@pytest.mark.parametrize("road", [AT_ONCE], ids=[""], indirect=True)
def test_a_file_that_stays_empty_holds_nobody_up(road: Road, found: str) -> None:
    """Its lines count as missing: after the settle time the jobs go once more."""
    _lose_the_reply(road, found)
    _empty(road)
    wait_until(lambda: "absent" in _look(road), within_s=30, what="its absence")
    assert [(False,)] == road.rows("SELECT ours FROM stray")

    road.simulator.ask("/_faults", method="DELETE")
    road.until_done(JOBS)

    assert ["absent", "collected"] == road.states()


def test_a_batch_that_a_person_deletes_at_the_provider_is_absent(road: Road) -> None:
    """The way out of results that nobody can read: whoever looked at them there decides."""
    _lose_the_reply(road, "ended")
    _empty(road)
    _look(road)
    assert ["unknown"] == road.states()

    batches = road.simulator.anthropic.messages.batches
    batches.delete(batches.list().data[0].id)
    road.simulator.ask("/_faults", method="DELETE")
    road.until_done(JOBS)

    assert ["absent", "collected"] == road.states()


@pytest.mark.parametrize("road", [AT_ONCE], ids=[""], indirect=True)
def test_one_empty_read_says_nothing(road: Road) -> None:
    """Nor do two: a file that is whole the third time is what it says."""
    _lose_the_reply(road, "ended")
    # A look reads a file that says nothing a second time.
    _empty(road, times=2 * (LOOKS_ENOUGH - 1))
    for _ in range(LOOKS_ENOUGH - 1):
        _look(road)
    assert ["unknown"] == road.states()

    road.until_done(JOBS)

    assert_bought_once(road, JOBS)


@pytest.mark.parametrize("road", [AT_ONCE], ids=[""], indirect=True)
def test_somebody_elses_empty_batch_keeps_no_lane_closed(road: Road) -> None:
    """After a start it may be one of ours that the ledger has forgotten, until it stays empty."""
    road.simulator.messages_batch({"note-0": say("Hi.")})
    _wait_for_the_end(road)
    _empty(road)
    started = replace(road)
    assert started.interlock.closed

    wait_until(
        lambda: started.sweep.run() or not started.interlock.closed, within_s=20, what="the lane"
    )

    started.admit(JOBS)
    road.simulator.ask("/_faults", method="DELETE")
    started.until_done(JOBS)


def _lose_the_reply(road: Road, found: str) -> None:
    road.admit(JOBS)
    road.arm("reply_lost")
    road.packer.run()
    road.submitter.run()
    if found == "running":
        road.search.run()
        assert ["accepted"] == road.states()
    _wait_for_the_end(road)


def _wait_for_the_end(road: Road) -> None:
    def ended() -> bool:
        listed = road.simulator.anthropic.messages.batches.list().data
        return bool(listed) and all(one.processing_status == "ended" for one in listed)

    wait_until(ended, within_s=20, what="the end of every batch")


def _empty(road: Road, *, times: int = 1000) -> None:
    road.arm("drop_lines", path=RESULTS, method="GET", share=1, times=times)


def _look(road: Road) -> list[str]:
    """Let the next look be due, and take it; how the submissions stand then."""
    with road.engine.begin() as connection:
        connection.execute(text("UPDATE submission SET poll_at = now()"))
    road.search.run()
    road.collector.run()
    return road.states()
