"""A near-real-time call whose account is closed: it waits, uncounted, and the lane is paused."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from sqlalchemy import Engine, text

from app.near_real_time.worker import NearRealTime, Stamina
from app.policy.judging import Judge
from app.providers.attached import Attached
from app.providers.limits import Limits
from app.providers.openai import OpenAIProvider
from tests.providers.adapters import build
from tests.providers.scripted import Reply, Server, serving
from tests.providers.test_create import said
from tests.support.answering import admit
from tests.support.factories import an_admission
from unhurried.contract import Endpoint

FAILED = {"id": "resp_1", "status": "failed", "error": {"code": "insufficient_quota"}}


@pytest.fixture
def server() -> Iterator[Server]:
    """What the provider says is the test's."""
    with serving() as found:
        yield found


@pytest.mark.parametrize(
    "reply",
    [
        Reply(429, said("insufficient_quota", code="insufficient_quota")),
        Reply(200, json.dumps(FAILED).encode(), {"content-type": "application/json"}),
    ],
    ids=["a refusal", "an answer that failed"],
)
def test_a_closed_account_pauses_the_lane_and_fails_no_job(
    engine: Engine, redis_client: redis.Redis, server: Server, reply: Reply
) -> None:
    """
    However it is said: as a refusal, or in an answer that failed.
    """
    server.answers(reply)
    provider = build(OpenAIProvider, server.url)
    admit(engine, [an_admission(endpoint=Endpoint.RESPONSES, tier="near-real-time")])
    worker = NearRealTime(
        engine=engine,
        providers={("openai", "default"): provider},
        limits=Limits(client=redis_client, key_prefix="", limits={}, sync_share=0),
        attached=Attached(None),
        judge=Judge(overrides={}, first_backoff=timedelta(0)),
        stamina=Stamina(threads=1, timeout_s=5),
        watch=lambda _job_id: lambda _text: None,
        wake_completion=lambda: None,
    )
    worker.answer_one()
    worker.answer_one()
    provider.close()

    assert 1 == len(server.seen)
    with engine.connect() as connection:
        job = connection.execute(text("SELECT state, attempt - uncounted FROM job")).one()
        lane = connection.execute(text("SELECT paused_at IS NOT NULL FROM lane")).one()
    assert (("waiting", 0), (True,)) == (tuple(job), tuple(lane))
