"""A batch that is cancelled at its provider: what had finished is kept and booked, the rest ends, nothing goes again."""

from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import pytest

from app.changing.decisions import Decisions, Outcome
from app.ledger.actions import Decision
from app.policy.changing import Cancel
from app.policy.subjects import Kind, Subject
from tests.simulator.conftest import Simulator, running
from tests.submitting.conftest import Road
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One whose batches take some seconds: long enough to be cancelled in the middle."""
    with running(tmp_path_factory.mktemp("simulator"), "--speed", "15") as found:
        yield found


def cancel(road: Road, kind: Kind, about: str) -> Outcome:
    """A person wants it no more."""
    subject = Subject(kind=kind, id=about)
    decision = Decision(
        who="ops", why="a test", what="cancel", subject=str(subject), request_id=uuid4()
    )
    return Decisions(engine=road.engine, wake=lambda: None).carry_out(decision, Cancel(), subject)


def cancel_in_doubt(road: Road, fault: str) -> None:
    """Hand three jobs over by a create that nobody hears of, and want none of them any more."""
    road.admit(3)
    road.arm(fault)
    road.packer.run()
    road.submitter.run()
    assert ["unknown"] == road.states()
    ((batch,),) = road.rows("SELECT id FROM submission")
    cancel(road, Kind.BATCH, str(batch))


def some_ran(road: Road) -> bool:
    """Whether a batch of four to ten seconds is in its middle; neither provider says so by itself."""
    ((there,),) = road.rows(
        "SELECT clock_timestamp() > accepted_at + interval '1.5 s' FROM submission"
    )
    return bool(there)


def settled(road: Road) -> bool:
    """Go on until nothing is under way."""
    road.once()
    return not {"waiting", "in_flight"} & set(road.states("job"))


def test_what_had_finished_is_kept_and_the_rest_ends(road: Road) -> None:
    """
    Some of a batch is answered when it is cancelled: that is delivered and booked to the nano-dollar, the
    others end cancelled, and none is sent again.
    """
    road.admit(200)
    road.sweep.run()
    road.packer.run()
    road.submitter.run()
    wait_until(lambda: some_ran(road), within_s=30, what="the middle of the batch")
    ((batch,),) = road.rows("SELECT id FROM submission")
    outcome = cancel(road, Kind.BATCH, str(batch))
    assert ({"asked_to_end": 200}, 1) == (outcome["did"], outcome["batches_to_end"])

    wait_until(lambda: settled(road), within_s=60, what="the batch's end")
    found = Counter(road.states("job"))
    assert {"succeeded", "cancelled"} == set(found)
    assert len(road.bought()) == found["succeeded"]
    assert {1} >= set(road.bought().values())
    ours, theirs = road.booked_nano_usd()
    assert ours == theirs
    ((requested, taken),) = road.rows(
        "SELECT cancel_requested_at IS NOT NULL, cancelled_at IS NOT NULL FROM submission"
    )
    assert (True, True) == (requested, taken)
    assert [("ready", 200)] == road.rows("SELECT state, count(*) FROM ticket GROUP BY state")


def test_a_batch_with_one_job_that_is_wanted_runs_on(road: Road) -> None:
    """
    What is answered of the others is paid for, and kept.
    """
    road.admit(2)
    road.packer.run()
    road.submitter.run()
    cancel(road, Kind.TASK, "task-0")

    road.until("job", ["succeeded"] * 2)
    assert [(None, None)] == road.rows("SELECT cancel_requested_at, cancelled_at FROM submission")


def test_a_lost_create_of_cancelled_jobs_is_found_and_ended(road: Road) -> None:
    """
    Cancelled while nobody knows whether the batch exists: it is never sent again, and what it has become
    is ended or booked.
    """
    cancel_in_doubt(road, "reply_lost")

    wait_until(lambda: settled(road), within_s=60, what="the end of all jobs")
    assert {1} >= set(road.bought().values())
    ours, theirs = road.booked_nano_usd()
    assert ours == theirs
