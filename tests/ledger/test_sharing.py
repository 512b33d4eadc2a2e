"""Reuse and single flight in the ledger: one request asked, every task answered, no tenant's for another."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from app.direct.record import Recorder
from app.ledger import admission
from app.ledger import engine as ledger
from app.ledger.arrivals import Admission
from app.policy.admission import JobDraft, decide
from app.policy.ends import Value
from app.policy.rules import Rules
from tests.support.answering import admit, answer
from tests.support.factories import a_message
from tests.support.waiting import wait_until
from unhurried.contract import Endpoint, Tier
from unhurried.workloads import Workload

RULES = Rules(
    request_bytes_max=5000,
    attempts_max=3,
    tiers=frozenset(Tier),
    workloads={
        "reusing": Workload.model_validate({"reuse": "6h"}),
        "flying": Workload(single_flight=True),
        "neither": Workload(),
    },
)


@pytest.fixture
def now(engine: Engine) -> datetime:
    """The ledger's clock."""
    with engine.connect() as connection:
        return ledger.now(connection)


def asked(task_id: str, workload: str, *, prompt: str = "Hello", **options: Any) -> Admission:
    """A message of a workload."""
    request: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 10}
    request["messages"] = [{"role": "user", "content": prompt}]
    decision = decide(
        endpoint=Endpoint.MESSAGES,
        task_id=task_id,
        args=(),
        kwargs={
            "request": request,
            "options": {"tier": "batch", "workload": workload, **options},
        },
        eta=None,
        expires=None,
        now=datetime.fromisoformat("2026-11-23T12:00:00+00:00"),
        rules=RULES,
    )
    return Admission(message=a_message(task_id), decision=decision)


def jobs(engine: Engine) -> dict[str, tuple[str, str]]:
    """Which job each task waits for, and whether it is ready."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT task_id, job_id, state FROM ticket"))
        return {row.task_id: (str(row.job_id), row.state) for row in rows}


def waiting(engine: Engine) -> int:
    """Connections of this ledger that wait for a lock."""
    with engine.connect() as connection:
        found: int = connection.execute(
            text("""
                SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'
            """)
        ).scalar_one()
        return found


def count(engine: Engine) -> int:
    """Jobs in the ledger."""
    with engine.connect() as connection:
        found: int = connection.execute(text("SELECT count(*) FROM job")).scalar_one()
        return found


def test_identical_requests_under_way_are_asked_once(engine: Engine) -> None:
    """
    In one portion or in the next: one job, and each task gets its answer.
    """
    first = admit(engine, [asked("a", "flying"), asked("b", "flying")])
    admit(engine, [asked("c", "flying")])
    assert 1 == count(engine)
    answer(engine, first[:1])

    assert {"a": "ready", "b": "ready", "c": "ready"} == {
        task: state for task, (_, state) in jobs(engine).items()
    }


def test_a_flight_that_has_landed_is_not_joined(engine: Engine) -> None:
    """
    Without reuse an answered job is history: the next identical request is asked.
    """
    answer(engine, admit(engine, [asked("a", "flying")]))
    admit(engine, [asked("b", "flying")])

    assert 2 == count(engine)


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": "other"},
        {"tier": "near-real-time"},
        {"subject": "user:2"},
        {"prompt": "Something else"},
        {"idempotency_key": "mine"},
        {"deadline_s": 3600},
    ],
)
def test_a_flight_is_joined_by_its_equals_alone(engine: Engine, other: dict[str, Any]) -> None:
    """
    Never across tenants, tiers, subjects or keys, nor by a call that waits for longer.
    """
    first: dict[str, Any] = {"deadline_s": 60} if "deadline_s" in other else {}
    admit(engine, [asked("a", "flying", **first)])
    admit(engine, [asked("b", "flying", **other)])

    assert 2 == count(engine)


def test_a_workload_that_does_not_opt_in_asks_each_time(engine: Engine) -> None:
    """
    Two identical requests, two jobs.
    """
    admit(engine, [asked("a", "neither"), asked("b", "neither")])

    assert 2 == count(engine)


def test_two_pumps_at_once_ask_once(engine: Engine) -> None:
    """
    The second waits for the first's commit, and joins.
    """
    with engine.begin() as connection:
        admission.admit(connection, [asked("a", "flying")], at=ledger.now(connection))
        pump = threading.Thread(target=admit, args=(engine, [asked("b", "flying")]))
        pump.start()
        wait_until(lambda: waiting(engine), within_s=20, what="the second pump at the first's row")
    pump.join()

    assert 1 == count(engine)
    assert jobs(engine)["a"] == jobs(engine)["b"]


def test_a_fresh_answer_is_used_again_and_keeps_its_as_of(engine: Engine, now: datetime) -> None:
    """
    The second task is ready at once, with the moment at which the first one's input was true.
    """
    as_of = now - timedelta(hours=5)
    answer(engine, admit(engine, [asked("a", "reusing", as_of=as_of.isoformat())]))
    admit(engine, [asked("b", "reusing", as_of=now.isoformat())])

    assert 1 == count(engine)
    assert jobs(engine)["a"] == jobs(engine)["b"]
    with engine.connect() as connection:
        kept = connection.execute(
            text("SELECT as_of FROM job JOIN ticket ON job_id = job.id WHERE task_id = 'b'")
        ).scalar_one()
    assert as_of == kept


@pytest.mark.parametrize(
    ("age", "other"),
    [(timedelta(hours=7), {}), (timedelta(hours=1), {"tenant": "other"})],
)
def test_an_answer_that_is_old_or_another_tenants_is_not_used(
    engine: Engine, now: datetime, age: timedelta, other: dict[str, Any]
) -> None:
    """
    Past the span, or across tenants, the request is asked again.
    """
    as_of = (now - age).isoformat()
    answer(engine, admit(engine, [asked("a", "reusing", as_of=as_of)]))
    admit(engine, [asked("b", "reusing", **other)])

    assert 2 == count(engine)


def test_a_user_who_waits_gets_a_fresh_answer_at_once(
    engine: Engine, redis_client: redis.Redis, now: datetime
) -> None:
    """
    A sync call of a workload that reuses is answered from a batch's answer; another workload's asks.
    """
    answer(engine, admit(engine, [asked("a", "reusing", as_of=now.isoformat())]))
    recorder = Recorder(engine=engine, client=redis_client, key_prefix="")
    ends = []
    for workload in ("reusing", "neither"):
        draft = asked("b", workload, tier="sync").decision
        assert isinstance(draft, JobDraft)
        ends.append(recorder.known(draft))

    assert isinstance(ends[0], Value)
    assert ("Fine.", now.isoformat()) == (ends[0].wire["output"], ends[0].wire["as_of"])
    assert ends[1] is None


def test_a_message_that_comes_twice_asks_nothing(engine: Engine) -> None:
    """
    A copy that arrives after the flight it joined has landed makes no job of its own.
    """
    answer(engine, admit(engine, [asked("a", "flying"), asked("b", "flying")])[:1])
    admit(engine, [asked("b", "flying")])

    assert 1 == count(engine)


def test_the_same_key_keeps_the_first_as_of(engine: Engine, now: datetime) -> None:
    """
    Another ticket on a keyed job is told when the job's input was true, not when it was asked.
    """
    first, second = now - timedelta(hours=5), now
    for task, moment in (("a", first), ("b", second)):
        admit(
            engine,
            [asked(task, "neither", idempotency_key="k", as_of=moment.isoformat())],
        )

    with engine.connect() as connection:
        assert [first] == list(connection.execute(text("SELECT as_of FROM job")).scalars())
