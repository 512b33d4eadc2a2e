"""What clients ask for over the wire: answered always, done once."""

from typing import Any
from uuid import uuid4

import pytest
import redis

from app.changing.requests import Requests
from tests.changing.conftest import Desk
from tests.support.answering import admit
from tests.support.factories import an_admission
from unhurried.change_wire import Change, Changed, Of, Wished
from unhurried.readers import reply_key


@pytest.fixture
def requests(desk: Desk, redis_client: redis.Redis) -> Requests:
    """Over the desk's ledger."""
    return Requests(
        engine=desk.engine, decisions=desk.decisions, client=redis_client, key_prefix=""
    )


def a_change(
    about: str, *, of: Of = Of.TASK, what: Wished = Wished.CANCEL, **fields: Any
) -> Change:
    """A client's wish."""
    said: dict[str, Any] = {"request_id": uuid4(), "why": "no longer shown", "who": "caller app:7"}
    return Change(what=what, of=of, id=about, **{**said, **fields})


def test_a_client_reads_what_came_of_it(
    desk: Desk, requests: Requests, redis_client: redis.Redis
) -> None:
    """
    Under its own request's key; the action says which line asked.
    """
    admit(desk.engine, [an_admission("a")])
    change = a_change("a")
    changed = requests.answer(change)
    said: Any = redis_client.get(reply_key(str(change.request_id)))

    assert Changed(did={"cancelled": 1}) == changed == Changed.model_validate_json(said)
    assert changed.model_copy(update={"repeated": True}) == requests.answer(change)
    assert [("caller app:7", "no longer shown")] == desk.rows("SELECT who, why FROM action")


def test_a_task_that_is_not_admitted_ends_on_arrival(desk: Desk, requests: Requests) -> None:
    """
    Its message lies in Redis: nothing of it is ever asked.
    """
    assert {"cancelled_on_arrival": 1} == requests.answer(a_change("a")).did
    admit(desk.engine, [an_admission("a")])

    assert {"a": "ready"} == desk.tickets()
    assert [] == desk.rows("SELECT id FROM job")


def test_a_task_that_is_not_admitted_cannot_be_hurried_yet(desk: Desk, requests: Requests) -> None:
    """
    It says so, and nothing is remembered.
    """
    changed = requests.answer(a_change("a", what=Wished.EXPEDITE))

    assert {"it is not admitted yet: ask again": 1} == changed.left
    assert [] == desk.rows("SELECT * FROM action")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (a_change("no id at all", of=Of.RUN), "badly formed"),
        (a_change("a", what=Wished.EXPEDITE, tier="sync"), "not sync"),
        (a_change("a", what=Wished.DUE, due_at="2020-01-01T00:00:00Z"), "cancel them"),
    ],
)
def test_what_cannot_be_done_is_answered_in_words(
    desk: Desk, requests: Requests, change: Change, words: str
) -> None:
    """
    A client waits for a reply, and gets one.
    """
    admit(desk.engine, [an_admission("a")])

    assert words in (requests.answer(change).refused or "")


def test_a_run_is_expedited(desk: Desk, requests: Requests) -> None:
    """
    Every part that waits.
    """
    run = str(uuid4())
    admit(desk.engine, [an_admission(name, prompt=name, run=run) for name in ("a", "b")])

    assert {"expedited": 2} == requests.answer(a_change(run, of=Of.RUN, what=Wished.EXPEDITE)).did
