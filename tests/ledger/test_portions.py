"""A portion of messages: what comes of it is what would come of the same messages one by one."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from app.ledger import admission, moves, revoking
from app.ledger.arrivals import Admission, Decision, NotificationDraft
from app.policy.admission import Refusal
from app.policy.lifecycle import Succeed
from app.policy.runs import RunDraft
from tests.ledger.test_sharing import asked
from tests.support.factories import NOW, a_message, an_answer, uuid

TABLES = "event, charge, attempt, notification, ticket, job, run, revoked"
#: Numbers that the ledger gives.
NUMBERS = {"ticket": {"id"}, "event": {"id"}, "notification": {"id", "ticket_id"}}
AT = NOW + timedelta(minutes=1)
RUN = uuid(7)


@dataclass(frozen=True)
class Before:
    """What the ledger has seen when a portion comes."""

    messages: Sequence[Admission]
    #: Whether the jobs of these messages were answered.
    answered: bool
    revoked: Sequence[str]


def take_in(engine: Engine, portions: Sequence[Sequence[Admission]]) -> None:
    """Each in a transaction of its own, all at one moment."""
    for portion in portions:
        with engine.begin() as connection:
            admission.admit(connection, portion, at=AT)


def answer_all(engine: Engine) -> None:
    """Answer what waits, at the same moment."""
    with engine.begin() as connection:
        waiting = connection.execute(text("SELECT id FROM job ORDER BY id")).scalars().all()
        opened = moves.take_off(connection, waiting, tier="batch", submission_id=None, at=AT)
        settled = [
            Succeed(
                job_id=job_id,
                attempt=number,
                answer=an_answer(),
                cost_nano_usd=7,
                sync_cost_nano_usd=14,
            )
            for job_id, number in opened.items()
        ]
        moves.apply(connection, settled, at=AT)


def everything(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Every column of what admission writes, but numbers that differ by themselves. Tickets in their order."""
    order = {
        "ticket": "id",
        "job": "id",
        "run": "id",
        "notification": "job_id, ticket_id",
        "event": "job_id, kind",
    }
    found = {}
    with engine.connect() as connection:
        for table, by in order.items():
            rows = connection.execute(text(f"SELECT * FROM {table} ORDER BY {by}")).mappings()  # noqa: S608 - names of ours
            numbers = NUMBERS.get(table, set())
            found[table] = [
                {name: value for name, value in row.items() if name not in numbers} for row in rows
            ]
    return found


def in_vain(engine: Engine) -> int:
    """Jobs that no task waits for: they would be bought for nobody."""
    with engine.connect() as connection:
        found: int = connection.execute(
            text("SELECT count(*) FROM job WHERE id NOT IN (SELECT job_id FROM ticket)")
        ).scalar_one()
        return found


def outcome(
    engine: Engine, before: Before, portions: Sequence[Sequence[Admission]]
) -> dict[str, list[dict[str, Any]]]:
    """What is in a fresh ledger after all of this."""
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {TABLES} CASCADE"))
        revoking.note(connection, before.revoked, at=AT)
    take_in(engine, [[one] for one in before.messages])
    if before.answered:
        answer_all(engine)
    take_in(engine, portions)
    return everything(engine)


@st.composite
def calls(draw: st.DrawFn) -> Admission:
    """A call: few tasks, keys, requests and canvases, so that they meet. A task has keys, or has none."""
    task_id = draw(st.sampled_from(["a", "b", "keyed", "keyed too"]))
    options: dict[str, Any] = {
        "tier": draw(st.sampled_from(["batch", "near-real-time"])),
        "attempts": draw(st.sampled_from([1, 2])),
        "on_failure": draw(st.sampled_from(["raise", "return"])),
    }
    if task_id.startswith("keyed"):
        options["idempotency_key"] = draw(st.sampled_from(["k", "l"]))
    options |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "run": st.just(str(RUN)),
                "deadline_s": st.sampled_from([60, 3600]),
                "subject": st.just("user:1"),
                "notify": st.just([{"kind": "email", "to": "reader@example.org"}]),
            },
        )
    )
    workload = draw(st.sampled_from(["neither", "reusing", "flying"]))
    found = asked(task_id, workload, prompt=draw(st.sampled_from(["x", "y"])), **options)
    return replace(found, message=a_message(task_id, context=draw(st.sampled_from(["", "link"]))))


@st.composite
def others(draw: st.DrawFn) -> Admission:
    """What is no job: a refusal, a mail of a canvas, a seal."""
    task_id = draw(st.sampled_from(["a", "b", "keyed"]))
    kinds: list[Decision] = [
        Refusal(code="invalid_request", message="no"),
        NotificationDraft(id=uuid(9), tenant="default", kind="email", receiver=None, payload=b"{}"),
        RunDraft(id=RUN, tenant="default", workload=None, tier="batch", total=2, notify=()),
    ]
    decision = draw(st.sampled_from(kinds))
    name = str(RUN) if isinstance(decision, RunDraft) else task_id
    return Admission(message=a_message(name), decision=decision)


@pytest.fixture
def portion(engine: Engine) -> Callable[..., dict[str, tuple[str, str]]]:
    """Take one portion in; prompt and state, or code of refusal, of what each task waits for."""

    def taken_in(*messages: Admission) -> dict[str, tuple[str, str]]:
        take_in(engine, [messages])
        with engine.connect() as connection:
            rows = connection.execute(
                text("""
                    SELECT task_id, ticket.state, convert_from("end", 'utf8') AS refused,
                           convert_from(request, 'utf8') AS request
                    FROM ticket LEFT JOIN job ON job.id = ticket.job_id ORDER BY ticket.id
                """)
            )
            return {
                row.task_id: (
                    row.state,
                    json.loads(row.refused)["error"]["code"]
                    if row.refused
                    else json.loads(row.request)["messages"][0]["content"],
                )
                for row in rows
            }

    return taken_in


def test_of_two_requests_with_one_key_the_first_stands(
    engine: Engine, portion: Callable[..., dict[str, tuple[str, str]]]
) -> None:
    """
    In one portion as in two: the first is asked, the later one fails with a conflict.
    """
    key = {"idempotency_key": "k"}
    found = portion(
        asked("first", "neither", prompt="x", **key),
        asked("again", "neither", prompt="x", **key),
        asked("other", "neither", prompt="y", **key),
    )

    refused = ("ready", "idempotency_conflict")
    assert {"first": ("open", "x"), "again": ("open", "x"), "other": refused} == found
    assert 0 == in_vain(engine)


@pytest.mark.parametrize("workload", ["neither", "reusing"])
def test_two_requests_with_one_task_id_are_two_calls(engine: Engine, workload: str) -> None:
    """
    Celery gives the last task of a chain one id each time it is applied. Each is asked once, however often each
    comes, and has a ticket of its own.
    """
    take_in(engine, [[asked("other", "reusing", prompt="x")]])
    x, y = (asked("a", workload, prompt=prompt) for prompt in "xy")
    take_in(engine, [[x, y, x], [y], [x, y]])

    with engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT convert_from(request, 'utf8') AS request FROM ticket
                JOIN job ON job.id = ticket.job_id WHERE task_id = 'a' ORDER BY ticket.id
            """)
        )
        waited_for = [json.loads(row.request)["messages"][0]["content"] for row in rows]
    assert ["x", "y"] == waited_for
    assert 0 == in_vain(engine)


@pytest.mark.parametrize("portions", [1, 2])
def test_a_task_that_comes_again_with_another_key_buys_nothing(
    engine: Engine, portion: Callable[..., dict[str, tuple[str, str]]], portions: int
) -> None:
    """
    It has a ticket, which waits for the first key's job: of another one no result could be told.
    """
    both = [asked("a", "neither", prompt="x", idempotency_key=key) for key in ("k", "l")]
    if portions == 1:
        portion(*both)
    else:
        portion(both[0])
    assert {"a": ("open", "x")} == portion(both[1])
    assert 0 == in_vain(engine)
    with engine.connect() as connection:
        assert ["k"] == list(connection.execute(text("SELECT key FROM job")).scalars())


MESSAGES = st.lists(st.one_of(calls(), calls(), calls(), others()), max_size=5)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.builds(
        Before,
        messages=MESSAGES,
        answered=st.booleans(),
        revoked=st.sampled_from([(), (), ("a",)]),
    ),
    messages=MESSAGES,
    cut=st.integers(1, 4),
)
def test_a_portion_is_as_its_messages_one_by_one(
    engine: Engine, before: Before, messages: list[Admission], cut: int
) -> None:
    """
    Whatever meets in a portion, and wherever it is cut: the same tickets, jobs, runs and mails, to the
    column, and no job that nobody waits for.
    """
    one_by_one = outcome(engine, before, [[one] for one in messages])
    assert 0 == in_vain(engine)

    assert one_by_one == outcome(engine, before, [messages])
    assert one_by_one == outcome(engine, before, [messages[:cut], messages[cut:]])
    assert one_by_one == outcome(engine, before, [[*messages, *messages]])
