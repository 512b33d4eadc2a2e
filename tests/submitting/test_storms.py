"""A provider that says "not now" again and again: waits grow, nobody fails, nothing is bought twice."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.ledger import engine as ledger
from app.ledger import submissions
from app.packer.answers import Answers
from app.providers.port import NotTaken
from tests.submitting.conftest import Road

JOBS = 5


def refuse(road: Road, *, times: int, retry_after_s: float | None = None) -> list[float]:
    """Let a planned submission be refused so often; the wait after each, in seconds."""
    answers = Answers(road.engine, first_poll=timedelta(0))
    waits = []
    for _ in range(times):
        ((submission_id,),) = road.rows("SELECT id FROM submission")
        with road.engine.begin() as connection:
            now = ledger.now(connection)
            submission = submissions.find(connection, submission_id)
        assert submission is not None
        answers.record(submission, NotTaken(reason="busy", retry_after_s=retry_after_s))
        ((not_before,),) = road.rows("SELECT not_before FROM submission")
        waits.append(round((not_before - now).total_seconds()))
    return waits


def planned(road: Road) -> None:
    """One pack that nobody has sent."""
    road.admit(JOBS)
    road.packer.run()


def test_waits_double_up_to_a_quarter_of_an_hour(road: Road) -> None:
    """
    15 s, 30 s, 60 s and so on; counted in the ledger, so whichever process asks next waits as long.
    """
    planned(road)

    assert [15, 30, 60, 120, 240, 480, 900, 900, 900] == refuse(road, times=9)


def test_a_storm_of_weeks_is_a_storm(road: Road) -> None:
    """
    After thousands of refusals the wait is what it was after ten.
    """
    planned(road)
    with road.engine.begin() as connection:
        connection.execute(text("UPDATE submission SET refusals = 5000"))

    assert [900] == refuse(road, times=1)


@pytest.mark.parametrize("asked_s", [1.0, 17.0, 3600.0])
def test_a_wait_that_the_provider_names_is_kept(road: Road, asked_s: float) -> None:
    """
    Shorter or longer than ours, after any number of refusals.
    """
    planned(road)

    assert [asked_s] * 5 == refuse(road, times=5, retry_after_s=asked_s)


def test_no_wait_at_all_is_no_wish(road: Road) -> None:
    """
    A Retry-After of 0 is what our own schedule is for.
    """
    planned(road)

    assert [15, 30] == refuse(road, times=2, retry_after_s=0.0)


STORMS: list[dict[str, Any]] = [{"status": 429}, {"status": 529}]


@pytest.mark.parametrize("storm", STORMS, ids=str)
def test_jobs_outlive_a_storm(road: Road, storm: dict[str, Any]) -> None:
    """
    Six refusals in a row: no attempt counts, no job fails, each is bought once.
    """
    planned(road)
    road.arm("error_instead", times=6, **storm)
    for _ in range(6):
        road.submitter.run()
        with road.engine.begin() as connection:
            connection.execute(text("UPDATE submission SET not_before = NULL"))
    road.until_done(JOBS)

    assert [(1,)] == road.rows("SELECT DISTINCT attempt FROM job")
    assert [1] * JOBS == list(road.bought().values())
    assert [6] == [one["fired"] for one in road.simulator.ask("/_faults")]
