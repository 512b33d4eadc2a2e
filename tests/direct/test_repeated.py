"""What is recorded twice, and what one task id asks twice: Celery gives a chain's last task the same one each time."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from app.direct.answer import Call, DirectAnswer
from app.direct.record import Recorder
from app.direct.spend import SpendGuard
from app.ledger import direct
from app.policy.ends import Value
from tests.direct.making import RULES, an_openai, sync_tier
from tests.simulator.conftest import Simulator
from unhurried.contract import Endpoint
from unhurried.workloads import Workload


@pytest.fixture
def at_once(
    engine: Engine, redis_client: redis.Redis, simulator: Simulator
) -> Iterator[DirectAnswer]:
    """The sync tier, with a limit of $10 a day."""
    reusing = replace(RULES, workloads={"notes": Workload(reuse=3600.0)})
    guard = SpendGuard(engine=engine, daily_limits={("openai", "default"): 10**10})
    with an_openai(simulator) as provider:
        yield sync_tier(provider, engine, redis_client, rules=reusing, guard=guard)


def a_call(prompt: str, **options: Any) -> Call:
    request: dict[str, Any] = {"model": "gpt-5-mini", "input": prompt, "max_output_tokens": 500}
    return Call(
        endpoint=Endpoint.RESPONSES,
        task_id="the-last-of-a-chain",
        args=(),
        kwargs={"request": request, "options": {"tier": "sync", **options}},
    )


@pytest.mark.parametrize("second", ["One more.", "Another one."], ids=["same", "another"])
def test_every_call_that_was_billed_is_booked(
    engine: Engine, at_once: DirectAnswer, second: str
) -> None:
    """
    Whatever its task id says, each was asked and paid for: the books have both, and the day no reservation.
    """
    costs = []
    for prompt in ("One more.", second):
        end = at_once.answer(a_call(prompt))
        assert isinstance(end, Value)
        costs.append(end.wire["cost_nano_usd"])

    with engine.connect() as connection:
        kept = connection.execute(text("SELECT count(DISTINCT output) FROM job")).scalar_one()
    assert [sum(costs)] * 2 == [booked(engine), spent(engine)]
    assert len({"One more.", second}) == kept


def test_an_answer_that_is_too_old_to_be_reused_is_not_its_tasks_again(
    engine: Engine, at_once: DirectAnswer
) -> None:
    """
    Two hours later the chain is applied again, then over another text: each asks, and no key conflicts.
    """
    at_once.answer(a_call("One more.", workload="notes"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE job SET as_of = as_of - interval '2 hours'"))
    ends = [
        at_once.answer(a_call(prompt, workload="notes")) for prompt in ("One more.", "Another one.")
    ]

    assert [Value, Value] == [type(end) for end in ends]
    with engine.connect() as connection:
        assert 3 == connection.execute(text("SELECT count(*) FROM charge")).scalar_one()


def test_a_call_whose_commit_had_no_reply_is_booked_once(
    engine: Engine,
    redis_client: redis.Redis,
    at_once: DirectAnswer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Nobody knows whether it was done, so it waits in Redis and is written again.
    """

    def without_reply(_: Connection, rows: direct.Rows) -> None:
        with engine.begin() as connection:
            insert_rows(connection, rows)
        raise OperationalError("COMMIT", None, Exception("no reply"))

    insert_rows = direct.insert_rows
    with monkeypatch.context() as broken:
        broken.setattr(direct, "insert_rows", without_reply)
        end = at_once.answer(a_call("One more."))
    written = Recorder(engine=engine, client=redis_client, key_prefix="").sweep()

    assert isinstance(end, Value)
    assert 1 == written
    assert [end.wire["cost_nano_usd"]] * 2 == [booked(engine), spent(engine)]


def booked(engine: Engine) -> int:
    """What the charges come to."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT sum(nano_usd) FROM charge")).scalar_one())


def spent(engine: Engine) -> int:
    """What the guard counts."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT sum(nano_usd) FROM spend")).scalar_one())
