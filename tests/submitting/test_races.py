"""Races that no process can be held in from outside for long enough: one process plays both sides."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from app.ledger import engine as ledger
from app.providers.port import ListReply
from tests.providers.adapters import KINDS
from tests.simulator.conftest import say
from tests.submitting.altered import altered
from tests.submitting.conftest import Road
from tests.submitting.test_search import assert_bought_once
from tests.support.waiting import wait_until

JOBS = 20


@pytest.fixture
def other(road: Road, database_url: str) -> Iterator[Road]:
    """Another process of the same deployment: connections of its own."""
    engine = ledger.connect(database_url)
    yield replace(road, engine=engine)
    engine.dispose()


def sleep_after_the_intent(road: Road, other: Road) -> list[bool]:
    """Let the sender sleep once its intent is committed, until the other has sent the pack anew."""
    slept: list[bool] = []

    def sleep(*_: Any) -> None:
        if slept or other.states() != ["sending"]:
            return
        slept.append(True)
        other.until("submission", ["absent", "accepted"])

    # A connection comes back to its pool when its transaction is over.
    event.listen(road.engine, "checkin", sleep)
    return slept


@pytest.mark.parametrize("road", KINDS[:1], ids=["anthropic"], indirect=True)
def test_a_packer_that_slept_sends_nothing_any_more(road: Road, other: Road) -> None:
    """
    Between its intent and its create everybody else has looked, found nothing, and sent the pack anew.
    """
    road.admit(JOBS)
    road.packer.run()
    slept = sleep_after_the_intent(road, other)
    road.submitter.run()
    other.until_done(JOBS)

    assert slept
    assert_bought_once(other)


@pytest.mark.parametrize("road", KINDS[:1], ids=["anthropic"], indirect=True)
def test_a_batch_that_is_known_is_never_taken_for_ours(road: Road) -> None:
    """
    It has our size and came after ours was sent, and its results have said that it is another's.
    """
    road.admit(JOBS)
    road.arm("error_instead")
    road.packer.run()
    road.submitter.run()
    theirs = road.simulator.messages_batch({f"note-{n}": say(f"Hi {n}.") for n in range(JOBS)}).id

    road.until_done(JOBS)

    assert ["absent", "collected"] == road.states()
    assert [(theirs, False)] == road.rows("SELECT provider_batch_id, ours FROM stray")
    assert [1] * (2 * JOBS) == list(road.bought().values())


@pytest.mark.parametrize("road", KINDS[:1], ids=["anthropic"], indirect=True)
def test_two_creates_of_one_size_are_told_apart(road: Road) -> None:
    """
    Neither got a reply: the second is not even sent before it is clear what became of the first.
    """
    road.admit(JOBS)
    road.packer.run()
    road.admit(JOBS, account="default")
    road.packer.run()
    assert ["planned", "planned"] == road.states()
    road.arm("reply_lost", times=2)
    road.submitter.run()
    assert ["planned", "unknown"] == sorted(road.states())

    road.until_done(2 * JOBS)

    assert_bought_once(road, 2 * JOBS)
    assert ["collected", "collected"] == road.states()


def test_a_batch_that_is_adopted_while_the_sweep_looks_is_no_surplus(
    road: Road, other: Road
) -> None:
    """
    Nobody stood behind it when the sweep had its list; the search of another process has taken it since.
    """
    other.admit(JOBS)
    other.arm("reply_lost")
    other.packer.run()
    other.submitter.run()
    if road.name == "anthropic":
        wait_until(lambda: road.simulator.books()["lines"] == JOBS, within_s=30, what="its end")

    adopt_once_listed(road, other).sweep_now()
    assert ["accepted"] == road.states()
    assert [] == road.rows("SELECT * FROM stray")
    road.until_done(JOBS)

    assert_bought_once(road)
    assert ["collected"] == road.states()


def adopt_once_listed(road: Road, other: Road) -> Road:
    """The road whose sweep has held its list against the ledger when the other adopts a batch of it."""
    listed: list[bool] = []

    def list_batches(**bounds: Any) -> ListReply:
        listed.append(True)
        return road.provider.list_batches(**bounds)

    def adopt(*_: Any) -> None:
        # The first transaction after the list is the one in which the sweep asks what is known of it.
        if listed and other.states() == ["unknown"]:
            other.search.run()

    event.listen(road.engine, "checkin", adopt)
    swept = replace(road, provider=altered(road.provider, list_batches=list_batches))
    listed.clear()
    return swept
