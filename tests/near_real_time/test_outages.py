"""A provider's definite no while Redis or the ledger is away: it stays a no."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from app.ledger import lanes
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


@pytest.fixture
def server() -> Iterator[Server]:
    """What the provider says is the test's."""
    with serving() as found:
        yield found


def gone(*_: Any, **__: Any) -> None:
    """Redis, as it goes away while the provider is asked."""
    raise redis.ConnectionError("gone")


def broken(*_: Any, **__: Any) -> None:
    """The ledger, as its connection breaks then."""
    raise OperationalError("UPDATE lane", None, Exception("broken"))


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


def test_too_many_requests_while_redis_is_away_gives_the_job_back(
    engine: Engine, server: Server, worker: NearRealTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Nothing was answered and nothing is paid: the job waits, uncounted, and never counts as lost.
    """
    server.answers(Reply(429, said("rate_limit_exceeded")))
    monkeypatch.setattr(Limits, "close", gone)
    with pytest.raises(redis.RedisError):
        worker.answer_one()

    assert ("waiting", 0) == standing(engine)


def test_a_closed_account_while_the_ledger_is_away_gives_the_job_back(
    engine: Engine, server: Server, worker: NearRealTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Its lane is not paused yet; the next call hears the same, and pauses it.
    """
    server.answers(Reply(429, said("insufficient_quota", code="insufficient_quota")))
    with monkeypatch.context() as away:
        away.setattr(lanes, "pause", broken)
        with pytest.raises(OperationalError):
            worker.answer_one()
    assert ("waiting", 0) == standing(engine)
    worker.answer_one()

    assert ("waiting", 0) == standing(engine)
    with engine.connect() as connection:
        assert 1 == connection.execute(text("SELECT count(paused_at) FROM lane")).scalar_one()


def standing(engine: Engine) -> tuple[str, int]:
    """The job's state, and the attempts that count against it."""
    with engine.connect() as connection:
        row = connection.execute(text("SELECT state, attempt - uncounted FROM job")).one()
    return row[0], row[1]
