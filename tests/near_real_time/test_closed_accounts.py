"""A near-real-time call whose account is closed: it waits, uncounted, and the lane is paused."""

import json

import pytest
from sqlalchemy import Engine, text

from app.near_real_time.worker import NearRealTime
from tests.providers.scripted import Reply, Server
from tests.providers.test_create import said

FAILED = {"id": "resp_1", "status": "failed", "error": {"code": "insufficient_quota"}}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(429, said("insufficient_quota", code="insufficient_quota")),
        Reply(200, json.dumps(FAILED).encode(), {"content-type": "application/json"}),
    ],
    ids=["a refusal", "an answer that failed"],
)
def test_a_closed_account_pauses_the_lane_and_fails_no_job(
    engine: Engine, server: Server, worker: NearRealTime, reply: Reply
) -> None:
    """
    However it is said: as a refusal, or in an answer that failed.
    """
    server.answers(reply)
    worker.answer_one()
    worker.answer_one()

    assert 1 == len(server.seen)
    with engine.connect() as connection:
        job = connection.execute(text("SELECT state, attempt - uncounted FROM job")).one()
        lane = connection.execute(text("SELECT paused_at IS NOT NULL FROM lane")).one()
    assert (("waiting", 0), (True,)) == (tuple(job), tuple(lane))
