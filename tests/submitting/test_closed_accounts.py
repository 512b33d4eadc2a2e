"""An account that is closed while its batches run: lines come back refused, the lane pauses, no job fails."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.ledger import lanes
from app.ledger.lanes import LaneName
from tests.providers.adapters import KINDS, build
from tests.simulator.conftest import Simulator
from tests.submitting.conftest import MOMENT, Road
from tests.support.waiting import wait_until

JOBS = 40
WORDS = {"anthropic": "credit balance", "openai": "insufficient_quota"}
#: A batch that is looked at with success all the while: it takes minutes.
SLOW = 0.001


@pytest.fixture(params=KINDS, ids=["anthropic", "openai"])
def soon(
    request: pytest.FixtureRequest, engine: Engine, simulator: Simulator, tmp_path: Path
) -> Iterator[Road]:
    """A lane whose account is closed rests for a moment alone."""
    provider = build(request.param, simulator.url)
    yield Road(
        provider.name, engine, simulator, provider, tmp_path / "spool", closed_for=4 * MOMENT
    )
    provider.close()


def paused(road: Road) -> list[str]:
    """Why the lane is paused; nothing where it is not."""
    rows = road.rows("SELECT pause_reason FROM lane WHERE paused_at IS NOT NULL")
    return [reason for (reason,) in rows]


def until_paused(road: Road) -> None:
    """Go on until the provider has refused lines."""

    def there() -> bool:
        road.once()
        jobs = set(road.states("job"))
        assert "failed" not in jobs
        assert {"succeeded"} != jobs
        return bool(paused(road))

    wait_until(there, within_s=30, what="the pause")


def assert_all_bought_once(road: Road) -> None:
    """By the provider's books; the ledger's money equals theirs, and no attempt was used up by a refusal."""
    assert [1] * JOBS == list(road.bought().values())
    ours, theirs = road.booked_nano_usd()
    assert ours == theirs > 0
    assert [(1,)] == road.rows("SELECT DISTINCT attempt - uncounted FROM job")


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_lines_that_a_closed_account_refused_pause_the_lane_and_fail_no_job(
    road: Road, share: float
) -> None:
    """
    What was answered is delivered; the rest waits, uncounted and unsent, until a person resumes the lane.
    """
    road.admit(JOBS)
    road.arm("closed_account", share=share)
    until_paused(road)

    (reason,) = paused(road)
    assert WORDS[road.name] in reason
    for _ in range(5):
        road.once()
    assert ["collected"] == road.states()
    assert {"waiting", "succeeded"} >= set(road.states("job"))
    assert [(0,)] == road.rows(
        "SELECT DISTINCT attempt - uncounted FROM job WHERE state = 'waiting'"
    )
    told = road.rows("SELECT DISTINCT detail FROM event WHERE kind = 'given_back'")
    assert [(reason.partition(":")[0],)] == told

    with road.engine.begin() as connection:
        assert lanes.resume_by_person(connection, LaneName(road.name, "default"))
    road.until_done(JOBS)
    assert_all_bought_once(road)


def test_a_look_that_succeeds_is_no_money(road: Road) -> None:
    """
    Another batch of the account is looked at all the while: the lane rests, and nothing goes meanwhile.
    """
    road.admit(1, named="slow")
    road.arm("slow", share=SLOW)
    road.packer.run()
    road.submitter.run()
    road.admit(JOBS)
    road.arm("closed_account", share=1.0)
    until_paused(road)

    ((looked_at,),) = road.rows("SELECT observed_at FROM submission WHERE state = 'accepted'")

    def looked_again() -> bool:
        road.once()
        ((now,),) = road.rows("SELECT observed_at FROM submission WHERE state = 'accepted'")
        return bool(now > looked_at + timedelta(seconds=1))

    wait_until(looked_again, within_s=20, what="looks that succeed")
    assert 2 == len(road.states())
    assert WORDS[road.name] in paused(road)[0]


def test_a_lane_that_was_resumed_too_soon_pauses_again_and_fails_no_job(soon: Road) -> None:
    """
    The account stays closed for more batches than a job has attempts; then all go through, each bought once.
    """
    soon.admit(1, named="slow")
    soon.arm("slow", share=SLOW)
    soon.packer.run()
    soon.submitter.run()
    soon.admit(JOBS)
    soon.arm("closed_account", share=1.0, times=3)

    def answered() -> bool:
        soon.once()
        assert "failed" not in soon.states("job")
        return ["in_flight"] + ["succeeded"] * JOBS == sorted(soon.states("job"))

    wait_until(answered, within_s=60, what="an account that is open again")
    assert [(4,)] == soon.rows("SELECT max(attempt) FROM job")
    assert_all_bought_once(soon)
    assert [] == paused(soon)
