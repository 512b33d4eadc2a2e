"""A message that nothing can be done with costs itself alone: the call beside it is answered."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from celery import signature
from sqlalchemy import text

from app.intake.pump import Pump
from app.intake.unadmitted import Unadmitted
from app.policy import shapes
from tests.client.apps import calling
from tests.completion.chorded import chord_key
from tests.completion.conftest import Service
from tests.support.answering import answer
from tests.support.factories import RULES
from unhurried import messages
from unhurried.contract import QUEUES, Endpoint, Tier

CALL: dict[str, Any] = {
    "request": {
        "model": "claude-haiku-4-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hello"}],
    },
    "options": {"tier": "batch"},
}
QUEUE = QUEUES[Tier.BATCH]
LONG = "".join(chr(97 + (number * number * 7 + number // 3) % 26) for number in range(9000))


def raw(
    task_id: str,
    *,
    call: dict[str, Any] | None = None,
    args: str = "[]",
    headers: dict[str, Any] | None = None,
    content_type: str = "application/json",
    **envelope: Any,
) -> bytes:
    """A message as it lies in Redis."""
    body = f"[{args}, {json.dumps(call or CALL)}, {{}}]".encode()
    named = {"id": task_id, "task": "unhurried.messages.v1", "root_id": task_id}
    whole = {
        "headers": named | (headers or {}),
        "properties": {"body_encoding": "base64"},
        "body": base64.b64encode(body).decode(),
        "content-type": content_type,
        "content-encoding": "utf-8",
    }
    return json.dumps(whole | envelope).encode()


def with_option(name: str, value: Any) -> dict[str, Any]:
    return CALL | {"options": {"tier": "batch", name: value}}


def with_argument(name: str, value: Any) -> dict[str, Any]:
    return CALL | {"request": CALL["request"] | {name: value}}


#: A role may be anything that JSON holds; what is no text, the provider refuses.
CHAT: dict[str, Any] = {
    "request": {"model": "gpt-5-mini", "messages": [{"role": ["user"], "content": "Hello"}]},
    "options": {"tier": "batch"},
}
#: What is kept for people: nobody can be told.
KEPT: dict[str, bytes] = {
    "no properties": raw("x", properties=[1]),
    "a body beyond ASCII": raw("x", body="\u00e9"),
    "an id with NUL": raw("a\0b"),
    "an id of half a character": raw("a\ud800"),
    "a long id": raw(LONG),
    "no id": raw(""),
    "a task with NUL": raw("x", headers={"task": "a\0b"}),
    "a long group": raw("x", headers={"group": LONG}),
    "a group that is an object": raw("x", headers={"group": {}}),
    "a root with NUL": raw("x", headers={"root_id": "a\0b"}),
    "a content type with NUL": raw("x", content_type="a\0b"),
    "depth": b"[" * 100_000,
}
#: What is a job like any other, or fails its own task.
TOLD: dict[str, bytes] = {
    "NUL in a key": raw("x", call=with_option("idempotency_key", "a\0b")),
    "NUL in a subject": raw("x", call=with_option("subject", "a\0b")),
    "NUL in the model": raw("x", call=with_argument("model", "a\0b")),
    "a long model": raw("x", call=with_argument("model", LONG)),
    "a million million tokens": raw("x", call=with_argument("max_tokens", 10**15)),
    "before the calendar": raw("x", call=with_option("as_of", "0001-01-01T00:00:00+14:00")),
    "after the calendar": raw("x", call=with_option("as_of", "9999-12-31T23:59:59-14:00")),
    "published before it": raw("x", call=with_option("published_at", "0001-01-01T00:00:00+14:00")),
    "effective for ever": raw("x", call=with_option("effective_for_s", float("inf"))),
    "effective for 1e12 s": raw("x", call=with_option("effective_for_s", 1e12)),
    "expires before the calendar": raw("x", headers={"expires": "0001-01-01T00:00:00+14:00"}),
    "expires after the calendar": raw("x", headers={"expires": "9999-12-31T23:59:59-14:00"}),
    "a step of 900 levels": raw("x", args="[" * 900 + "]" * 900),
    "a schema of no dialect": raw("x", call=with_option("answer_schema", {"$schema": []})),
    "NaN": raw("x", call=with_argument("metadata", float("nan"))),
    "a role that is a list": raw("x", call=CHAT, headers={"task": "unhurried.chat.v1"}),
    "NUL in the prompt": raw("x", call=with_argument("system", "a\0b\u2028c")),
}


def states(service: Service) -> dict[str, str]:
    """Of every ticket."""
    with service.engine.connect() as connection:
        rows = connection.execute(text("SELECT task_id, state FROM ticket"))
        return {row.task_id: row.state for row in rows}


def kept(service: Service) -> list[bytes]:
    """What lies in quarantine, whole."""
    with service.engine.connect() as connection:
        rows = connection.execute(text("SELECT raw FROM quarantine ORDER BY id"))
        return [bytes(row.raw) for row in rows]


def answer_all(service: Service) -> None:
    """Answer what waits, and complete it."""
    with service.engine.connect() as connection:
        rows = connection.execute(text("SELECT id FROM job WHERE state = 'waiting'"))
        waiting = [row.id for row in rows]
    answer(service.engine, waiting)
    service.completer.run()


def test_messages_that_name_nobody_are_kept_and_hold_nothing_up(service: Service) -> None:
    """
    A dozen of them around a good one: it is admitted, answered and completed; they lie in quarantine, whole.
    """
    several = list(KEPT.values())
    service.client.lpush(QUEUE, *several[:6], raw("good"), *several[6:])

    assert len(several) + 1 == service.pump.run_once()
    answer_all(service)

    assert {"good": "completed"} == states(service)
    assert sorted(several) == sorted(kept(service))
    assert 0 == service.pump.run_once()


@pytest.mark.parametrize("name", TOLD)
def test_a_hostile_call_ends_and_so_does_the_one_beside_it(service: Service, name: str) -> None:
    """
    From the queue to the end of both tasks, through every column that either of them is stored in.
    """
    service.client.lpush(QUEUE, TOLD[name], raw("good"))

    service.pump.run_once()
    answer_all(service)

    assert {"x": "completed", "good": "completed"} == states(service)
    assert [] == kept(service)


def test_a_call_that_our_own_code_fails_over_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Its task ends with words for the operator, the part of a run it was counts, and the call beside it is admitted.
    """
    digest = shapes.prefix_digest

    def failing(endpoint: Endpoint, request: Mapping[str, Any]) -> bytes:
        return digest(endpoint, request)[: 1 // (request["max_tokens"] - 1)]

    monkeypatch.setattr(shapes, "prefix_digest", failing)
    run = "5e2d1f04-8a55-4c0b-9a0e-756e68757272"
    bad = CALL | {"request": CALL["request"] | {"max_tokens": 1}}
    bad["options"] = {"tier": "batch", "run": run}
    good = with_argument("max_tokens", 2)
    service.client.lpush(QUEUE, raw("bad", call=bad), raw("good", call=good))

    assert 2 == service.pump.run_once()

    assert {"bad": "ready", "good": "open"} == states(service)
    with service.engine.connect() as connection:
        found = connection.execute(
            text("SELECT \"end\", run_id FROM ticket WHERE task_id = 'bad'")
        ).one()
    assert "ZeroDivisionError" in json.loads(found.end)["error"]["message"]
    assert run == str(found.run_id)


def test_what_the_ledger_refuses_is_found_among_many(service: Service) -> None:
    """
    Fifty calls, one of which weighs more than its column counts to: it is kept, the others are admitted.
    """
    reference = {
        "unhurried_ref": f"sha256:{'0' * 64}",
        "as": "base64",
        "bytes": 10**11,
        "media_type": "image/png",
    }
    heavy = raw("heavy", call=with_argument("system", reference))
    pump = Pump(
        client=service.client,
        engine=service.engine,
        announce=service.announcer,
        unadmitted=Unadmitted(
            client=service.client, engine=service.engine, known_as=service.mark.known_as
        ),
        queues=[QUEUE],
        rules=replace(RULES, attached_bytes_max=10**12),
        key_prefix="",
        messages_max=100,
        stale_after_s=-1,
    )
    service.client.lpush(QUEUE, *(raw(f"task-{n}") for n in range(37)), heavy)
    service.client.lpush(QUEUE, *(raw(f"task-{n}") for n in range(37, 49)))

    pump.run_once()

    assert dict.fromkeys((f"task-{n}" for n in range(49)), "open") == states(service)
    assert [heavy] == kept(service)


def test_a_pump_that_died_over_a_message_leaves_it_to_the_next(service: Service) -> None:
    """
    What had been reserved is taken in by `recover`, the message for people among it, and once.
    """
    reserved = "unhurried:intake:dead"
    service.client.rpush(reserved, raw("good"), KEPT["an id with NUL"])
    service.client.zadd("unhurried:intake", {reserved: 0})

    assert (2, 0) == (service.pump.recover(), service.pump.recover())
    assert {"good": "open"} == states(service)
    assert [KEPT["an id with NUL"]] == kept(service)


#: What a caller may have written into a signature, and nobody can publish.
UNPUBLISHED: dict[str, dict[str, Any]] = {
    "no such serializer": {"serializer": "no-such-serializer"},
    "in 30,000 years": {"countdown": 1e12},
    "expires after the calendar": {"expires": 1e300},
    "a serializer with NUL": {"serializer": "a\0b"},
    "a serializer of half a character": {"serializer": "a\ud800"},
    "an id with NUL": {"task_id": "a\0b"},
    "an id of half a character": {"task_id": "a\ud800"},
    "an id that is an object": {"task_id": {"a": 1}},
    "a long id": {"task_id": LONG},
}


@pytest.mark.parametrize("name", UNPUBLISHED)
def test_a_callback_that_cannot_be_published_costs_its_own_ticket_alone(
    service: Service, name: str
) -> None:
    """
    Its completion is counted and put off; its job is answered, and the ticket beside it is completed.
    """
    with calling(service.redis_url) as app:
        link = signature("shop.linked", app=app).set(**UNPUBLISHED[name])
        asked = messages.s(**CALL["request"], tier="batch")
        bad = asked.clone().apply_async(link=link)
        good = asked.clone().apply_async()
        service.pump.run_once()
        answer_all(service)
        service.completer.run()

    with service.engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT task_id, ticket.state, ticket.attempts, last_error, job.state AS job "
                "FROM ticket JOIN job ON job.id = ticket.job_id"
            )
        )
        found = {row.task_id: row for row in rows}
    assert ("completed", "succeeded") == (found[good.id].state, found[good.id].job)
    assert ("succeeded", 1) == (found[bad.id].job, found[bad.id].attempts)
    assert "completed" != found[bad.id].state
    assert "cannot be completed" in found[bad.id].last_error


#: Of a chord, a body that Celery fails over.
BODIES: dict[str, dict[str, Any]] = {
    "an id with NUL": {"options": {"task_id": "a\0b"}},
    "an id of half a character": {"options": {"task_id": "a\ud800"}},
    "a group of nothing": {"task": "celery.group", "subtask_type": "group", "kwargs": {}},
    "a canvas of no kind": {"subtask_type": "nonsense"},
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_nobody_can_publish_holds_no_other_ticket_and_no_other_chord_up(
    service: Service, name: str
) -> None:
    """
    The call beside it is completed, and a look at the chords comes to its end.
    """
    body = {"task": "shop.body", "args": [], "kwargs": {}, "options": {}} | BODIES[name]
    chord = {"callbacks": None, "errbacks": None, "chain": None, "chord": body}
    written = base64.b64encode(json.dumps([[], CALL, chord]).encode()).decode()
    bad = raw("bad", headers={"group": "g", "group_index": 0}, body=written)
    service.client.set(chord_key(service, "g", ".s"), 1)
    service.client.lpush(QUEUE, bad, raw("good"))
    service.pump.run_once()
    for _ in range(2):
        service.loss.run()

    answer_all(service)
    service.chords.sweep(remembers=lambda: True)

    assert "completed" == states(service)["good"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("system", "other"), ("max_tokens", 10), ("metadata", {"user_id": "1"}), ("system", "a\0b")],
)
def test_a_key_with_another_request_is_a_conflict_and_the_job_stays(
    service: Service, name: str, value: Any
) -> None:
    """
    Whichever argument differs: one job is answered, both tasks end, and the second one's end says why.
    """
    first = with_option("idempotency_key", "k")
    other = first | {"request": CALL["request"] | {name: value}}
    service.client.lpush(QUEUE, raw("first", call=first))
    service.pump.run_once()
    service.client.lpush(QUEUE, raw("same", call=first), raw("other", call=other))
    service.pump.run_once()
    answer_all(service)

    assert dict.fromkeys(("first", "same", "other"), "completed") == states(service)
    with service.engine.connect() as connection:
        rows = connection.execute(text('SELECT task_id, job_id, "end" FROM ticket')).all()
    found = {row.task_id: row for row in rows}
    assert found["first"].job_id == found["same"].job_id is not None
    assert found["other"].job_id is None
    assert "idempotency_conflict" == json.loads(found["other"].end)["error"]["code"]
