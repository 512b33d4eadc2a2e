"""Jobs that are cancelled while nothing can be heard of their batch: it never was, or its results are gone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.policy.subjects import Kind
from tests.submitting.conftest import Road
from tests.submitting.test_cancelling import cancel, cancel_in_doubt, settled
from tests.submitting.test_collecting import RESULTS
from tests.support.waiting import wait_until


def test_jobs_of_a_create_that_never_was_end(road: Road) -> None:
    """
    Proven absent, the pack is taken apart and not handed over anew.
    """
    cancel_in_doubt(road, "error_instead")

    wait_until(lambda: settled(road), within_s=60, what="the end of all jobs")
    assert ["cancelled"] * 3 == road.states("job")
    assert ["absent", "void"] == road.states()
    assert {} == road.bought()


@pytest.mark.parametrize(
    ("empty_after", "end"),
    [(timedelta(hours=1), "in_flight"), (timedelta(days=-365), "cancelled")],
    ids=["soon", "late"],
)
def test_results_that_are_gone_hold_no_job_that_is_cancelled(
    road: Road, empty_after: timedelta, end: str
) -> None:
    """
    Somebody has deleted the file: long after the batch's end, who wants nothing of it is let go.
    """
    patient = replace(road, empty_after=empty_after)
    patient.admit(3)
    patient.arm("error_instead", method="GET", path=RESULTS[road.name], status=404, times=10_000)
    patient.packer.run()
    patient.submitter.run()
    wait_until(lambda: _is_missed(patient), within_s=60, what="a file that is not there")
    for _ in range(5):
        patient.once()
    assert ["in_flight"] * 3 == patient.states("job")

    ((batch,),) = patient.rows("SELECT id FROM submission")
    cancel(patient, Kind.BATCH, str(batch))
    wait_until(lambda: _looks(patient) >= 3, within_s=30, what="looks")
    assert [end] * 3 == patient.states("job")


def _is_missed(road: Road) -> bool:
    road.once()
    return "NotFound" in str(road.rows("SELECT last_error FROM submission"))


def _looks(road: Road) -> int:
    """How many looks there were since it was cancelled; all there are once it is done with."""
    road.once()
    ((looks, state),) = road.rows("SELECT downloads, state FROM submission")
    return 3 if state == "collected" else int(looks)
