"""A ledger that cannot take what a user waits for: it was demoted to a standby, or no column holds it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from kombu.utils import json
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from app.direct import record
from app.direct.answer import Call, DirectAnswer
from app.direct.record import Recorder
from app.direct.spend import SpendGuard
from app.policy.ends import Failure, Value
from app.policy.spending import DailyLimits
from app.providers.limits import Limits
from app.providers.openai import OpenAIProvider
from app.providers.port import NotTaken
from tests.direct.making import an_openai, sync_tier
from tests.simulator.conftest import Simulator
from unhurried.contract import Endpoint

WAITING = "unhurried:direct-records"
#: Makes the sync tier over a ledger.
Make = Callable[..., DirectAnswer]


@pytest.fixture
def make(redis_client: redis.Redis, simulator: Simulator) -> Iterator[Make]:
    """The sync tier; without a limit where none is given."""
    with an_openai(simulator) as provider:

        def made(engine: Engine, limits: DailyLimits | None = None) -> DirectAnswer:
            guard = SpendGuard(engine=engine, daily_limits=limits or {})
            return sync_tier(provider, engine, redis_client, guard=guard)

        yield made


@pytest.fixture
def standby(engine: Engine) -> Engine:
    """The ledger as a failover leaves it to those who are still connected: it may be read."""
    return engine.execution_options(postgresql_readonly=True)


def a_call(task_id: str = "task") -> Call:
    request: dict[str, Any] = {"model": "gpt-5-mini", "input": "Hello.", "max_output_tokens": 500}
    return Call(
        endpoint=Endpoint.RESPONSES,
        task_id=task_id,
        args=(),
        kwargs={"request": request, "options": {"tier": "sync"}},
    )


def test_an_answer_that_a_standby_cannot_record_is_handed_back(
    engine: Engine, standby: Engine, redis_client: redis.Redis, make: Make
) -> None:
    """
    It has been paid for: its user gets it, and it is booked when the ledger writes again.
    """
    end = make(standby).answer(a_call())
    assert isinstance(end, Value)
    assert 1 == Recorder(engine=engine, client=redis_client, key_prefix="").sweep()

    with engine.connect() as connection:
        booked = connection.execute(text("SELECT sum(nano_usd) FROM charge")).scalar_one()
    assert end.wire["cost_nano_usd"] == booked


def test_over_a_standby_calls_go_on_within_what_was_left(
    engine: Engine, standby: Engine, make: Make
) -> None:
    """
    As while the ledger is down: nothing can be reserved, and what the day had left when it was last asked holds.
    """
    limits = {("openai", "default"): 10**10}
    at_once = make(engine, limits)
    at_once.answer(a_call("before"))
    # Demoted under a process that runs.
    at_once._guard._engine = standby

    assert isinstance(at_once.answer(a_call("after")), Value)


def test_over_a_standby_a_refusal_says_that_nothing_is_known_of_the_day(
    standby: Engine, make: Make
) -> None:
    """
    A process that has never heard what the day has left asks nothing, and does not say that it is spent.
    """
    end = make(standby, {("openai", "default"): 10**10}).answer(a_call())

    assert isinstance(end, Failure)
    assert ("spend_limit_reached", True) == (end.error["code"], end.error["retryable"])
    assert "the ledger does not answer" in end.error["message"]


@pytest.mark.parametrize("away", ["take", "close"])
def test_a_call_that_redis_keeps_from_being_asked_reserves_nothing(
    engine: Engine, make: Make, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    """
    Its user hears that it was not taken, and the day has as much left as before.
    """

    def gone(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("gone")

    def busy(*_: Any, **__: Any) -> NotTaken:
        return NotTaken(reason="429")

    monkeypatch.setattr(Limits, away, gone)
    monkeypatch.setattr(OpenAIProvider, "answer", busy)
    end = make(engine, {("openai", "default"): 10**10}).answer(a_call())

    assert isinstance(end, Failure)
    assert ("not_taken", True) == (end.error["code"], end.error["retryable"])
    with engine.connect() as connection:
        assert 0 == connection.execute(text("SELECT sum(nano_usd) FROM spend")).scalar_one()


def test_a_record_that_is_dropped_is_told_of(
    standby: Engine, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What waits is bounded; what it cost would be missing from the books without a word.
    """
    monkeypatch.setattr(record, "_WAITING_MAX", 1)
    at_once = make(standby)
    with capture_logs() as told:
        for task_id in ("first", "second"):
            at_once.answer(a_call(task_id))

    assert [1] == [one["records_count"] for one in told if one["event"] == "record_dropped"]


def test_a_record_that_no_column_holds_costs_itself_alone(
    engine: Engine, standby: Engine, redis_client: redis.Redis, make: Make
) -> None:
    """
    It is kept for people, what waits behind it is written, and upkeep goes on.
    """
    at_once = make(standby)
    for task_id in ("hostile", "whole"):
        at_once.answer(a_call(task_id))
    rows = json.loads(redis_client.lindex(WAITING, 0) or b"")
    rows["job"][0]["model_answered"] = "a\0b"
    redis_client.lset(WAITING, 0, json.dumps(rows))

    assert 1 == Recorder(engine=engine, client=redis_client, key_prefix="").sweep()
    with engine.connect() as connection:
        tasks = connection.execute(text("SELECT task_id FROM ticket")).scalars().all()
        aside = connection.execute(text("SELECT source FROM quarantine")).scalars().all()
    assert (["whole"], ["direct"]) == (tasks, aside)
    assert 0 == redis_client.llen(WAITING)
