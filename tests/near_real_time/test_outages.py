"""A provider's definite no while Redis or the ledger is away: it stays a no."""

from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from app.ledger import lanes
from app.near_real_time.worker import NearRealTime
from app.providers.limits import Limits
from tests.providers.scripted import Reply, Server
from tests.providers.test_create import said


def gone(*_: Any, **__: Any) -> None:
    """Redis, as it goes away while the provider is asked."""
    raise redis.ConnectionError("gone")


def broken(*_: Any, **__: Any) -> None:
    """The ledger, as its connection breaks then."""
    raise OperationalError("UPDATE lane", None, Exception("broken"))


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
