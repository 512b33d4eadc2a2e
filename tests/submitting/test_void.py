"""A batch that is refused whole, and for no fault of its requests: nothing ran, and no job fails for it."""

from dataclasses import replace

import pytest

from app.ledger import lanes
from app.ledger.lanes import LaneName
from app.policy.outcomes import Closed, Transient
from app.providers.port import Accepted, BatchReport, CreateReply, Handover, Phase, PollReply
from tests.providers.adapters import KINDS
from tests.submitting.altered import altered
from tests.submitting.conftest import Road
from tests.submitting.test_search import assert_bought_once

JOBS = 20
CLOSED = Closed(code="billing_hard_limit_reached", message="Billing hard limit has been reached")
UNSEEN = Transient(code="not_found", message="Cannot find file file-1.")

pytestmark = pytest.mark.parametrize("road", KINDS[1:], ids=["openai"], indirect=True)


def refusing(road: Road, why: Closed | Transient, *, batches: int) -> Road:
    """The road at a provider that takes the first batches, and refuses each once it has validated it."""
    made: list[str] = []

    def create(handover: Handover) -> CreateReply:
        if len(made) == batches:
            return road.provider.create(handover)
        made.append(f"batch-{len(made)}")
        return Accepted(provider_batch_id=made[-1], status="validating")

    def poll(batch_id: str) -> PollReply:
        if batch_id not in made:
            return road.provider.poll(batch_id)
        return BatchReport(
            provider_batch_id=batch_id, phase=Phase.VOID, status="failed", blameless=why
        )

    return replace(road, provider=altered(road.provider, create=create, poll=poll))


@pytest.mark.parametrize("jobs", [1, JOBS])
def test_a_closed_account_pauses_its_lane_and_fails_no_job(road: Road, jobs: int) -> None:
    """
    The jobs wait, uncounted and unsent, until a person resumes the lane; then they go together.
    """
    refused = refusing(road, CLOSED, batches=1)
    refused.admit(jobs)
    for _ in range(5):
        refused.once()

    assert ["void"] == refused.states()
    assert ["waiting"] * jobs == refused.states("job")
    assert [(f"{CLOSED.code}: {CLOSED.message}",)] == refused.rows(
        "SELECT pause_reason FROM lane WHERE paused_at IS NOT NULL"
    )
    assert [(0,)] == refused.rows("SELECT DISTINCT attempt - uncounted FROM job")

    with refused.engine.begin() as connection:
        assert lanes.resume_by_person(connection, LaneName(refused.name, "default"))
    refused.until_done(jobs)
    assert ["void", "collected"] == refused.states()
    assert_bought_once(refused, jobs)


@pytest.mark.parametrize("jobs", [1, JOBS])
def test_a_file_that_the_validator_does_not_see_is_sent_again_whole(road: Road, jobs: int) -> None:
    """
    Each such refusal is one attempt.
    """
    refused = refusing(road, UNSEEN, batches=2)
    refused.admit(jobs)
    refused.until_done(jobs)

    assert ["void", "void", "collected"] == refused.states()
    assert [(3,)] == refused.rows("SELECT DISTINCT attempt - uncounted FROM job")
    assert_bought_once(refused, jobs)


def test_a_file_that_the_validator_never_sees_is_not_sent_for_ever(road: Road) -> None:
    """
    The job fails for it as for any other trouble that passes: it may be tried again.
    """
    refused = refusing(road, UNSEEN, batches=9)
    refused.admit(1)
    refused.until("job", ["failed"])

    assert ["void"] * 3 == refused.states()
    assert [(UNSEEN.code, True)] == refused.rows("SELECT error_code, error_retryable FROM job")
