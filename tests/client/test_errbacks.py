"""Which errbacks leave a caller marked, to be called in its own worker."""

from typing import Any

import pytest
import redis
from celery import Celery, chain, chord

from tests.client.wire import sent
from unhurried import messages
from unhurried.contract import ERRBACK_HEADER

SAY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [], "tier": "batch"}


def _three(_request: Any, _exc: Any, _traceback: Any, name: str = "") -> str:
    return name


def _one(task_id: str, name: str) -> str:
    return name + task_id


@pytest.fixture
def styles(caller: Celery) -> dict[str, Any]:
    """Errbacks of both styles, and a task, of the caller's."""
    return {
        "new": caller.task(name="new", shared=False)(_three).s(name="x"),
        "old": caller.task(name="old", shared=False)(_one).s("x"),
        "foreign": caller.signature("not.here"),
        "step": caller.task(name="step", shared=False)(_one).s("x"),
    }


def marks(errbacks: Any) -> dict[str, bool]:
    """Whether each errback of this name is marked."""
    return {
        one["task"]: bool((one["options"].get("headers") or {}).get(ERRBACK_HEADER))
        for one in errbacks
    }


def test_only_errbacks_of_the_new_style_are_marked(
    styles: dict[str, Any], redis_client: redis.Redis
) -> None:
    """One that takes a task id alone, and one whose task is not here, stay as they are."""
    errbacks = [styles["new"], styles["old"], styles["foreign"]]
    ours: Any = messages.s(**SAY)
    ours.set(link_error=errbacks).apply_async()

    (message,) = sent(redis_client, "unhurried.batch")
    assert marks(message.embed["errbacks"]) == {"new": True, "old": False, "not.here": False}
    assert not styles["new"].options.get("headers")


def test_a_chords_body_and_later_steps_are_looked_at(
    styles: dict[str, Any], redis_client: redis.Redis
) -> None:
    """Both may fail where the caller's code is not."""
    later: Any = messages.s(**SAY)
    chain(messages.s(**SAY), later.set(link_error=[styles["new"].clone()])).apply_async()
    body = styles["step"].set(link_error=[styles["new"].clone()])
    chord([messages.s(**SAY)], body).apply_async()

    in_chain, in_chord = sent(redis_client, "unhurried.batch")
    assert marks(in_chain.embed["chain"][0]["options"]["link_error"]) == {"new": True}
    assert marks(in_chord.embed["chord"]["options"]["link_error"]) == {"new": True}
