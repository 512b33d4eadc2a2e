"""A near-real-time worker, and a provider that says what a test wants."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from sqlalchemy import Engine

from app.near_real_time.worker import NearRealTime, Stamina
from app.policy.judging import Judge
from app.providers.attached import Attached
from app.providers.limits import Limits
from app.providers.openai import OpenAIProvider
from tests.providers.adapters import build
from tests.providers.scripted import Server, serving
from tests.support.answering import admit
from tests.support.factories import an_admission
from unhurried.contract import Endpoint


@pytest.fixture
def server() -> Iterator[Server]:
    """What the provider says is the test's."""
    with serving() as found:
        yield found


@pytest.fixture
def worker(engine: Engine, redis_client: redis.Redis, server: Server) -> Iterator[NearRealTime]:
    """One thread's worth of a worker, with a job to answer."""
    provider = build(OpenAIProvider, server.url)
    admit(engine, [an_admission(endpoint=Endpoint.RESPONSES, tier="near-real-time")])
    yield NearRealTime(
        engine=engine,
        providers={("openai", "default"): provider},
        limits=Limits(client=redis_client, key_prefix="", limits={}, sync_share=0),
        attached=Attached(None),
        judge=Judge(overrides={}, first_backoff=timedelta(0)),
        stamina=Stamina(threads=1, timeout_s=5),
        watch=lambda _job_id: lambda _text: None,
        wake_completion=lambda: None,
    )
    provider.close()
