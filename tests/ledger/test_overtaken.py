"""Two pumps at one moment: what comes of their messages is what comes of one portion after the other."""

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine, text

from app.ledger import admission
from app.ledger.arrivals import Admission
from tests.ledger.test_portions import AT, MESSAGES, Before, everything, in_vain, outcome, take_in
from tests.ledger.test_sharing import asked, waiting
from tests.support.waiting import wait_until


def take_in_at_once(engine: Engine, one: Sequence[Admission], other: Sequence[Admission]) -> None:
    """The other pump begins when the first has everything but its commit."""
    second = threading.Thread(target=take_in, args=[engine, [other]])
    with engine.begin() as connection:
        admission.admit(connection, one, at=AT)
        second.start()
        wait_until(
            lambda: not second.is_alive() or waiting(engine) == 1,
            within_s=20,
            what="the other to wait or to end",
        )
    second.join()


def asked_for(engine: Engine) -> list[tuple[str, str]]:
    """Task and prompt of each ticket."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT task_id, convert_from(request, 'utf8') AS request
                FROM ticket JOIN job ON job.id = ticket.job_id ORDER BY ticket.id
            """)
        )
        return [(row.task_id, json.loads(row.request)["messages"][0]["content"]) for row in rows]


def test_one_task_with_two_requests_is_two_calls(engine: Engine) -> None:
    """
    A canvas that is applied twice at once: neither of its last requests is dropped.
    """
    x, y = (asked("a", "neither", prompt=prompt) for prompt in "xy")
    take_in_at_once(engine, [x], [y])
    assert [("a", "x"), ("a", "y")] == asked_for(engine)
    assert 0 == in_vain(engine)


def test_what_follows_may_differ_as_well(engine: Engine) -> None:
    """
    Its links are others the second time: that is another call, and no conflict.
    """
    x, y = (asked("a", "neither", prompt=prompt) for prompt in "xy")
    y = replace(y, message=replace(y.message, context_digest=b"other links"))
    take_in_at_once(engine, [x], [y])
    assert [("a", "x"), ("a", "y")] == asked_for(engine)
    assert 0 == in_vain(engine)


def test_one_task_with_two_keys_buys_once(engine: Engine) -> None:
    """
    Nobody could be told the result of the second.
    """
    one, two = (asked("a", "neither", prompt="x", idempotency_key=key) for key in "kl")
    take_in_at_once(engine, [one, asked("b", "neither")], [asked("c", "neither"), two])
    assert {"a", "b", "c"} == {task for task, _ in asked_for(engine)}
    assert 0 == in_vain(engine)


def _sorted(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    return {table: sorted(map(repr, rows)) for table, rows in found.items()}


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=MESSAGES, other=MESSAGES)
def test_at_once_is_as_one_after_the_other(
    engine: Engine, one: list[Admission], other: list[Admission]
) -> None:
    """
    Whatever meets in two portions.
    """
    before = Before(messages=(), answered=False, revoked=())
    serial = outcome(engine, before, [one, other])
    outcome(engine, before, [])
    take_in_at_once(engine, one, other)
    assert _sorted(serial) == _sorted(everything(engine))
    assert 0 == in_vain(engine)
