"""A result that is there stays: whatever comes late about a task never takes the place of its end."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.completion.celery_end import CeleryEnd
from app.ledger import engine as ledger
from app.ledger import tickets
from app.ledger.tickets import ReadyTicket
from app.near_real_time.telling import Telling
from tests.client.apps import calling
from tests.completion.chorded import answer_all, ask
from tests.completion.conftest import Service
from tests.support.answering import fail
from unhurried.errors import failure
from unhurried.readers import Reply

CONFLICT = {"code": "idempotency_conflict", "message": "no", "retryable": False}


def end(service: Service, *, well: bool) -> bytes:
    """Publish a job, end it, complete it; the result as it lies in Redis."""
    with calling(service.redis_url):
        ask("a", on_failure="raise").apply_async()
    # As a pump takes in that dies before it has forgotten the messages.
    raw = service.client.lrange("unhurried.batch", 0, -1)
    service.client.rpush("unhurried:intake:dead", *raw)
    service.pump.run_once()
    service.loss.run()
    if well:
        answer_all(service)
    else:
        with service.engine.connect() as connection:
            ids = list(connection.execute(text("SELECT id FROM job")).scalars())
        fail(service.engine, ids)
    service.completer.run()
    return stored(service)


def stored(service: Service) -> bytes:
    """The result as it lies in Redis."""
    found: bytes = service.client.get("celery-task-meta-a")
    return found


def taken(service: Service) -> ReadyTicket:
    """The ticket as a completer has it."""
    with service.engine.connect() as connection:
        found = tickets.find(connection, "a")
    assert found is not None
    return found.ticket


def late_intake(service: Service) -> None:
    """A dead pump's list is admitted after all."""
    service.client.zadd("unhurried:intake", {"unhurried:intake:dead": 0})
    assert 1 == service.pump.recover()


def late_progress(service: Service) -> None:
    """A stream that nobody waits for any more says how far it is."""
    telling = Telling(
        engine=service.engine,
        client=service.client,
        backend=service.app.backend,
        shows_text=True,
    )
    telling._tell(["a"], "so far")


def late_states(service: Service) -> None:
    """Another Redis is told everything."""
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE redis_mark SET value = 'another'"))
    service.loss.run()
    service.completer.run()


def a_reader(service: Service) -> None:
    """A client asks for what is there."""
    assert Reply.RESTORED is service.restorer.result("a")


def a_second_generation(service: Service) -> None:
    """It is completed once more."""
    with service.engine.begin() as connection:
        connection.execute(
            text("UPDATE ticket SET state = 'ready', generation = 2, leased_until = NULL")
        )
    service.completer.run()


LATE = [late_intake, late_progress, late_states, a_reader, a_second_generation]


@pytest.mark.parametrize("late", LATE, ids=lambda one: one.__name__)
@pytest.mark.parametrize("well", [True, False], ids=["success", "failure"])
def test_what_comes_late_takes_nothing_back(service: Service, late: Any, *, well: bool) -> None:
    """
    A success stays byte for byte, a failure stays the same failure.
    """
    before = end(service, well=well)
    late(service)

    assert (b'"status": "SUCCESS"' if well else b'"status": "FAILURE"') in before
    assert undated(service, before) == undated(service, stored(service))
    assert before == stored(service) or not well


def undated(service: Service, meta: bytes) -> dict[str, Any]:
    """A result without the moment of its writing."""
    backend: Any = service.app.backend
    return {**backend.decode(meta), "date_done": None}


def test_of_two_completers_the_slower_writes_nothing_over_a_success(service: Service) -> None:
    """
    It had looked before the other one wrote; its failure would have been the caller's last word.
    """
    before = end(service, well=True)
    backend: Any = service.app.backend
    late = backend.encode({"status": "FAILURE", "result": CONFLICT})
    backend._set_with_state(backend.get_key_for_task("a"), late, "FAILURE")

    assert before == stored(service)


def test_a_second_context_that_raises_leaves_the_first_ones_value(service: Service) -> None:
    """
    One task id in two canvases with different wishes: what was a value stays one.
    """
    before = end(service, well=True)
    CeleryEnd(service.app).fail(taken(service), failure(CONFLICT))

    assert before == stored(service)


def test_a_stale_completer_closes_no_newer_generation(service: Service) -> None:
    """
    It was slow, and the ticket was made ready anew meanwhile: that one is still to be told.
    """
    end(service, well=True)
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE ticket SET state = 'ready', generation = 2"))
        now = ledger.now(connection)
        (held,) = tickets.claim(connection, at=now, lease=timedelta(0), limit=1)
        tickets.completed(connection, [(held.id, 1)], at=now)

        assert 1 == tickets.ready_count(connection)
