"""A server of one's own behind `base_url`: any model, no token counts, other words for its errors."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from app.direct.answer import Call, DirectAnswer
from app.direct.record import Recorder
from app.direct.spend import SpendGuard
from app.keys import given
from app.ledger import admission
from app.ledger import engine as ledger
from app.ledger.arrivals import Admission
from app.near_real_time.worker import NearRealTime, Stamina
from app.policy import admission as deciding
from app.policy.admission import JobDraft
from app.policy.ends import Failure, Value
from app.policy.judging import Judge
from app.policy.rules import Rules
from app.providers.attached import Attached
from app.providers.limits import Limits
from app.providers.openai import OpenAIProvider
from app.providers.port import Provider
from simulator.compatible_wire import PREFIX
from tests.simulator.conftest import Simulator
from tests.support.factories import NOW, a_message
from unhurried import Result
from unhurried.contract import Endpoint, Tier

TURNS = [{"role": "user", "content": "Who runs this? Somebody runs it at home."}]
CALLS: dict[Endpoint, dict[str, Any]] = {
    Endpoint.CHAT: {"model": "llama-at-home", "messages": TURNS},
    Endpoint.EMBEDDINGS: {"model": "bge-at-home", "input": ["one", "two"]},
}
RULES = Rules(
    request_bytes_max=10_000,
    attempts_max=3,
    tiers=frozenset({Tier.SYNC, Tier.NEAR_REAL_TIME}),
)
Providers = dict[tuple[str, str], Provider]


@pytest.fixture
def providers(simulator: Simulator) -> Iterator[Providers]:
    """The server as the account's OpenAI."""
    provider = OpenAIProvider(
        api_key=given("any"),
        base_url=f"{simulator.url}{PREFIX}",
        connect_timeout_s=2,
        create_timeout_s=10,
        sync_timeout_s=10,
    )
    yield {("openai", "default"): provider}
    provider.close()


@pytest.fixture
def limits(redis_client: redis.Redis) -> Limits:
    return Limits(client=redis_client, key_prefix="", limits={}, sync_share=0)


@pytest.fixture
def at_once(
    engine: Engine, redis_client: redis.Redis, providers: Providers, limits: Limits
) -> DirectAnswer:
    """The sync tier."""
    return DirectAnswer(
        providers=providers,
        recorder=Recorder(engine=engine, client=redis_client, key_prefix=""),
        limits=limits,
        attached=Attached(None),
        rules=RULES,
        overrides={},
        timeout_s=20,
        guard=SpendGuard(engine=engine, daily_limits={}),
    )


def call(endpoint: Endpoint, **request: Any) -> Call:
    asked = {**CALLS[endpoint], **request}
    return Call(
        endpoint=endpoint,
        task_id=f"task-{endpoint}",
        args=(),
        kwargs={"request": asked, "options": {"tier": "sync"}},
    )


def said(end: Any) -> Result:
    assert isinstance(end, Value), end
    return Result.parse(end.wire)


@pytest.mark.parametrize("endpoint", list(CALLS))
def test_an_answer_without_token_counts_has_no_price(
    at_once: DirectAnswer, engine: Engine, endpoint: Endpoint
) -> None:
    """
    Its fields of its own are kept in the ledger and disturb nobody; unknown is never free.
    """
    result = said(at_once.answer(call(endpoint)))
    with engine.connect() as connection:
        row = connection.execute(text("SELECT state, answer FROM job")).one()
        charges = connection.execute(text("SELECT nano_usd FROM charge")).scalars().all()

    assert (True, "answered") == (result.ok, result.outcome)
    assert (None, None) == (result.usage, result.cost_usd)
    assert ("succeeded", True) == (row.state, b"kv_transfer_params" in bytes(row.answer))
    assert [None] == charges


def test_its_answers_are_read_as_openais_are(at_once: DirectAnswer) -> None:
    """
    Text of a chat, a vector for each input.
    """
    chat = said(at_once.answer(call(Endpoint.CHAT)))
    embedded = said(at_once.answer(call(Endpoint.EMBEDDINGS)))

    assert ("Somebody" in chat.output, "llama-at-home") == (True, chat.model)
    assert 2 == len(embedded.vectors)


def test_an_error_in_its_own_words_is_the_requests_own(at_once: DirectAnswer) -> None:
    """
    It closes no account, since others' requests are fine.
    """
    turns = [{"role": "user", "content": "[[sim:invalid]]"}]
    end = at_once.answer(call(Endpoint.CHAT, messages=turns))

    assert isinstance(end, Failure)
    assert ("BadRequestError", "the simulator was asked to refuse this") == (
        end.error["code"],
        end.error["message"],
    )


@pytest.mark.parametrize("endpoint", list(CALLS))
def test_near_real_time_jobs_are_answered_as_well(
    engine: Engine, providers: Providers, limits: Limits, endpoint: Endpoint
) -> None:
    """
    The job ends, and what it cost is unknown.
    """
    draft = deciding.decide(
        endpoint=endpoint,
        task_id="task-1",
        args=(),
        kwargs={"request": CALLS[endpoint], "options": {"tier": "near-real-time"}},
        eta=None,
        expires=None,
        now=NOW,
        rules=RULES,
    )
    assert isinstance(draft, JobDraft)
    with engine.begin() as connection:
        one = Admission(message=a_message(), decision=draft)
        admission.admit(connection, [one], at=ledger.now(connection))
    worker = NearRealTime(
        engine=engine,
        providers=providers,
        limits=limits,
        attached=Attached(None),
        judge=Judge(overrides={}, first_backoff=timedelta(0)),
        stamina=Stamina(threads=1, timeout_s=20),
        watch=lambda _job_id: lambda _text: None,
        wake_completion=lambda: None,
    )
    worker.answer_one()
    with engine.connect() as connection:
        ended = connection.execute(text("SELECT state, outcome, cost_nano_usd FROM job")).one()

    assert ("succeeded", "answered", None) == tuple(ended)
