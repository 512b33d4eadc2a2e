"""A batch that was adopted because nothing else could be it, and is another's: ours is what the results say."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.ledger import engine as ledger
from app.ledger import searching, submissions
from app.packer.answers import Answers
from app.policy.sweeping import Verdict
from app.providers.port import Accepted
from tests.providers.adapters import KINDS
from tests.simulator.conftest import say
from tests.submitting.conftest import Road
from tests.submitting.test_search import assert_bought_once
from tests.support.waiting import wait_until

JOBS = 3

pytestmark = pytest.mark.parametrize("road", KINDS[:1], ids=["anthropic"], indirect=True)


def test_a_sweep_that_finds_ours_takes_it_in_the_place_of_a_strangers(road: Road) -> None:
    """
    Ours shows later than a stranger's of its size, which is on trial when the sweep reads ours.
    """
    swept = replace(road, sweep_every=timedelta(0))
    theirs = _put_a_strangers_on_trial(swept)
    _let_ours_land(swept)

    swept.sweep.run()
    assert [("accepted", "results")] == _standing(swept)
    assert [] == swept.rows("SELECT * FROM stray")
    swept.until_done(JOBS)
    swept.sweep.run()

    assert ["collected"] == swept.states()
    assert [1] * 2 * JOBS == list(swept.bought().values())
    assert [(theirs, False)] == swept.rows("SELECT provider_batch_id, ours FROM stray")


def test_a_renamed_deployment_leaves_ours_to_the_search(road: Road) -> None:
    """
    The create went out under another name: nothing is done to its batch, and nobody takes it for a stranger's.
    """
    _put_a_strangers_on_trial(road)
    renamed = replace(road, deployment="tests/renamed", sweep_every=timedelta(0))
    _let_ours_land(renamed)

    renamed.sweep.run()
    renamed.until_done(JOBS)

    assert ["collected"] == renamed.states()
    assert [1] * 2 * JOBS == list(renamed.bought().values())


def test_two_that_have_each_others_on_trial_exchange_them(road: Road) -> None:
    """
    As two searches may leave them, one after the other: the first to end says whose both are.
    """
    for account in ("first", "default"):
        road.admit(JOBS, account=account if account == "default" else None)
        road.packer.run()
        road.submitter.run()
    assert ["accepted", "accepted"] == road.states()
    (one, another) = road.rows("SELECT id, provider_batch_id FROM submission ORDER BY created_at")
    with road.engine.begin() as connection:
        for submission_id, batch_id in (
            (one[0], None),
            (another[0], one[1]),
            (one[0], another[1]),
        ):
            connection.execute(
                text(
                    "UPDATE submission SET provider_batch_id = :batch, proof = NULL WHERE id = :id"
                ),
                {"batch": batch_id, "id": submission_id},
            )

    road.until_done(2 * JOBS)

    assert ["collected", "collected"] == road.states()
    assert_bought_once(road, 2 * JOBS)
    assert [] == road.rows("SELECT * FROM stray")


def test_a_collector_that_slept_disowns_nothing_that_was_proven_meanwhile(road: Road) -> None:
    """
    It has read the stranger's results, and the sweep has put ours in their place before it says so.
    """
    _put_a_strangers_on_trial(road)
    _let_ours_land(road)
    ((submission_id,),) = road.rows("SELECT id FROM submission")
    with road.engine.begin() as connection:
        stale = submissions.find(connection, submission_id)
    assert stale is not None
    road.sweep_now()

    with road.engine.begin() as connection:
        now = ledger.now(connection)
        assert not searching.confirm(connection, stale)
        assert not searching.disown(connection, stale, found=Verdict.STRANGER, owner=None, at=now)
    assert [("accepted", "results")] == _standing(road)


def test_a_reply_that_comes_late_takes_ours_in_the_place_of_a_strangers(road: Road) -> None:
    """
    The sender stood still with the reply in its hand until another's batch was on trial.
    """
    theirs = _put_a_strangers_on_trial(road)
    _let_ours_land(road)
    ours = _newest_but(road, theirs)
    ((submission_id,),) = road.rows("SELECT id FROM submission")
    with road.engine.begin() as connection:
        sent = submissions.find(connection, submission_id)
    assert sent is not None

    reply = Accepted(provider_batch_id=ours, status="in_progress")
    assert Answers(road.engine, first_poll=timedelta(0)).record(sent, reply)
    assert [("accepted", "reply")] == _standing(road)
    assert [] == road.rows("SELECT * FROM stray")
    road.until_done(JOBS)

    assert ["collected"] == road.states()
    assert [1] * 2 * JOBS == list(road.bought().values())


def _newest_but(road: Road, batch_id: str) -> str:
    listed = road.simulator.anthropic.messages.batches.list().data
    return next(one.id for one in listed if one.id != batch_id)


def _put_a_strangers_on_trial(road: Road) -> str:
    road.admit(JOBS)
    road.arm("late", hold_s=60)
    road.packer.run()
    road.submitter.run()
    theirs = road.simulator.messages_batch({f"note-{n}": say(f"Hi {n}.") for n in range(JOBS)}).id
    road.search.run()
    assert [("accepted", None)] == _standing(road)
    return str(theirs)


def _let_ours_land(road: Road) -> None:
    road.simulator.ask("/_faults", method="DELETE")
    wait_until(lambda: road.simulator.books()["lines"] == 2 * JOBS, within_s=30, what="its end")


def _standing(road: Road) -> list[tuple[str, str | None]]:
    return road.rows("SELECT state, proof FROM submission")
