"""What is recorded twice, and what is asked twice."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from app.direct.answer import Call, DirectAnswer
from app.direct.record import Recorder
from app.direct.spend import SpendGuard
from app.keys import given
from app.ledger import direct
from app.policy.ends import Value
from app.policy.rules import Rules
from app.providers.attached import Attached
from app.providers.limits import Limits
from app.providers.openai import OpenAIProvider
from tests.simulator.conftest import Simulator
from unhurried.contract import Endpoint, Tier


@pytest.fixture
def at_once(
    engine: Engine, redis_client: redis.Redis, simulator: Simulator
) -> Iterator[DirectAnswer]:
    """The sync tier, with a limit of $10 a day."""
    provider = OpenAIProvider(
        api_key=given("any"),
        base_url=f"{simulator.url}/v1",
        connect_timeout_s=2,
        create_timeout_s=10,
        sync_timeout_s=10,
    )
    yield DirectAnswer(
        providers={("openai", "default"): provider},
        recorder=Recorder(engine=engine, client=redis_client, key_prefix=""),
        limits=Limits(client=redis_client, key_prefix="", limits={}, sync_share=0),
        attached=Attached(None),
        rules=Rules(request_bytes_max=10_000, attempts_max=3, tiers=frozenset({Tier.SYNC})),
        overrides={},
        timeout_s=20,
        guard=SpendGuard(engine=engine, daily_limits={("openai", "default"): 10**10}),
    )
    provider.close()


def a_call(prompt: str) -> Call:
    request: dict[str, Any] = {"model": "gpt-5-mini", "input": prompt, "max_output_tokens": 500}
    return Call(
        endpoint=Endpoint.RESPONSES,
        task_id="the-last-of-a-chain",
        args=(),
        kwargs={"request": request, "options": {"tier": "sync"}},
    )


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
