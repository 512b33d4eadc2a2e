"""What a person has told again goes out again: callbacks and results, and never a chord's body or a next step."""

import json
from typing import Any
from uuid import UUID, uuid4

from celery import chain
from sqlalchemy import text

from app.ledger.actions import Decision
from app.policy.subjects import Kind, Subject
from app.policy.telling_again import Part
from tests.client.apps import calling
from tests.completion.chorded import HOME, ask, bodies, finish, publish, theirs
from tests.completion.conftest import Service
from unhurried import messages


def published(service: Service, signature: Any) -> None:
    """A canvas of a caller, answered and told."""
    with calling(service.redis_url):
        signature.apply_async()
    service.pump.run_once()
    finish(service)


def redeliver(service: Service, task: str, *, request_id: UUID | None = None, **wish: Any) -> Any:
    """Have it told again how a task ended, and tell it; what came of the decision."""
    subject = Subject(kind=Kind.TASK, id=task)
    decision = Decision(
        who="ops",
        why="a test",
        what="redeliver",
        subject=str(subject),
        request_id=request_id or uuid4(),
    )
    outcome = service.results.redeliver(decision, subject, **wish)
    service.telling_again.run()
    return outcome


def called(service: Service) -> list[tuple[str, Any]]:
    """Task ids in the caller's own queue, the oldest first, and what each is called with."""
    found = [json.loads(raw) for raw in reversed(service.client.lrange(HOME, 0, -1))]
    return [(one["headers"]["id"], one["headers"]["task"]) for one in found]


def run_sql(service: Service, statement: str) -> None:
    with service.engine.begin() as connection:
        connection.execute(text(statement))


def test_a_callback_runs_again_once_for_each_request(service: Service) -> None:
    """
    Under an id that the request gives it: killed and repeated, it goes out once.
    """
    published(service, ask("a").set(link=theirs("callback")))
    request_id = uuid4()
    outcome = redeliver(service, "a", request_id=request_id)
    # Killed after it was published and before that was recorded.
    run_sql(service, "UPDATE ticket SET again_due_at = now()")
    service.telling_again.run()
    repeated = redeliver(service, "a", request_id=request_id)

    assert {"callbacks": 1, "results": 1} == outcome["did"]
    assert {**outcome, "repeated": True} == repeated
    (first, _), (second, name) = called(service)
    assert ("callback", "caller.task") == (first, name)
    assert first != second
    redeliver(service, "a")
    assert 3 == len({task_id for task_id, _ in called(service)})


def test_a_chord_body_is_not_run_twice(service: Service) -> None:
    """
    Whatever Redis and the ledger have forgotten of it: its parts are not counted again.
    """
    publish(service, [ask("a"), ask("b")], theirs("body"))
    finish(service)
    before = bodies(service, "body")
    service.client.flushdb()
    run_sql(service, "DELETE FROM published")
    for part in ("a", "b"):
        outcome = redeliver(service, part)
        assert {"results": 1} == outcome["did"]
        assert {"a chord's body is not run twice": 1} == outcome["left"]

    assert (1, 0) == (before, bodies(service, "body"))
    with calling(str(service.app.conf.result_backend)):
        assert ["Fine.", "Fine."] == [messages.result(one).output for one in ("a", "b")]


def test_a_next_step_is_not_run_twice(service: Service) -> None:
    """
    Nor a callback that is a canvas; a plain one beside it is.
    """
    canvas = chain(theirs("one"), theirs("two"))
    published(service, ask("b").set(link=[theirs("plain"), canvas]))
    plain = redeliver(service, "b")
    published(service, chain(ask("a"), theirs("step")))
    step = redeliver(service, "a")

    assert (
        {"callbacks": 1, "results": 1},
        {"a callback that is a canvas is not run twice": 1},
    ) == (
        plain["did"],
        plain["left"],
    )
    assert {"a chain's next step is not run twice": 1} == step["left"]
    assert 1 == bodies(service, "one")
    assert 1 == bodies(service, "step")


def test_a_result_that_is_there_stays(service: Service) -> None:
    """
    Only what Redis has lost is written again, and nobody is called where nobody asked for that.
    """
    published(service, ask("a").set(link=theirs("callback")))
    backend: Any = service.app.backend
    key = backend.get_key_for_task("a")
    there = service.client.get(key)
    only = frozenset({Part.RESULTS})

    assert {"results": 1} == redeliver(service, "a", only=only)["did"]
    assert there == service.client.get(key)
    service.client.delete(key)
    redeliver(service, "a", only=only)
    assert "SUCCESS" == json.loads(service.client.get(key))["status"]
    assert 1 == len(called(service))


def test_what_has_not_ended_is_left(service: Service) -> None:
    """
    A call that goes on, and one whose caller is just being told.
    """
    with calling(service.redis_url):
        ask("a").apply_async()
    service.pump.run_once()

    assert {"did": {}, "left": {"it has not ended": 1}} == redeliver(service, "a")
