"""Calls of one key at the same moment: a user who presses a button twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from app.direct.answer import Call, DirectAnswer
from app.direct.record import Recorder
from app.policy import admission as deciding
from app.policy.ends import Failure, JobsEnd, Value
from tests.direct.making import an_openai, sync_tier
from tests.simulator.conftest import Simulator
from unhurried.contract import Endpoint


@pytest.fixture
def recorder(engine: Engine, redis_client: redis.Redis) -> Recorder:
    """That of every process."""
    return Recorder(engine=engine, client=redis_client, key_prefix="")


@pytest.fixture
def at_once(
    engine: Engine, redis_client: redis.Redis, simulator: Simulator, recorder: Recorder
) -> Iterator[DirectAnswer]:
    """The sync tier; a call takes two seconds at most."""
    with an_openai(simulator) as provider:
        yield sync_tier(provider, engine, redis_client, recorder=recorder, timeout_s=2)


def a_call(task_id: str, prompt: str = "Pressed twice.") -> Call:
    request: dict[str, Any] = {"model": "gpt-5-mini", "input": prompt}
    return Call(
        endpoint=Endpoint.RESPONSES,
        task_id=task_id,
        args=(),
        kwargs={"request": request, "options": {"tier": "sync", "idempotency_key": "button"}},
    )


def test_calls_of_one_key_at_once_are_paid_once(engine: Engine, at_once: DirectAnswer) -> None:
    """
    Eight threads, one answer for all of them, and one charge.
    """
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda number: at_once.answer(a_call(f"task-{number}")), range(8)))

    assert 1 == len({told(end) for end in ends})
    with engine.connect() as connection:
        assert 1 == connection.execute(text("SELECT count(*) FROM charge")).scalar_one()


def told(end: JobsEnd) -> str:
    """The answer's name."""
    assert isinstance(end, Value), end
    return str(end.wire["result_id"])


def test_a_call_whose_other_never_ends_says_so(
    engine: Engine, redis_client: redis.Redis, recorder: Recorder, at_once: DirectAnswer
) -> None:
    """
    Nothing is bought: it may be repeated, and the turn of a process that died ends by itself.
    """
    job_id = deciding.job_id(
        tenant="default", endpoint=Endpoint.RESPONSES, key="button", task_id="any"
    )
    with recorder.turn(job_id, for_s=60) as is_mine:
        end = at_once.answer(a_call("waits"))

    assert is_mine
    assert isinstance(end, Failure)
    assert ("not_taken", True) == (end.error["code"], end.error["retryable"])
    with engine.connect() as connection:
        assert 0 == connection.execute(text("SELECT count(*) FROM charge")).scalar_one()
    with recorder.turn(job_id, for_s=0.05):
        sleep(0.1)
        with recorder.turn(job_id, for_s=60) as is_taken_over:
            assert is_taken_over
    assert [] == redis_client.keys("*direct-turn*")
