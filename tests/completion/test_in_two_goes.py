"""A canvas that is published in two goes, since its publisher died in between, is one canvas all the same."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from celery import chain, chord, group
from sqlalchemy import text

from app.completion import once
from tests.client.apps import calling
from tests.completion.chorded import HOME, answer_all, ask, chord_key, theirs
from tests.completion.conftest import Service

#: Of one chord in each of the canvases.
PARTS = ("b", "c", "d")


def _inner() -> Any:
    return chord(_parts(), theirs("body"))


def _parts() -> Any:
    return group(theirs(name) for name in PARTS)


#: What follows a call.
FOLLOWING: dict[str, Callable[[], Any]] = {
    "a chord as a link": lambda: ask("a").set(link=[_inner()]),
    "a chord beside a link": lambda: ask("a").set(link=[theirs("x"), _inner()]),
    "a chord in a link's chain": lambda: ask("a").set(link=[chain(_inner(), theirs("e"))]),
    "a chord as a step": lambda: chain(ask("a"), _inner()),
    "a group and what follows it": lambda: chain(ask("a"), _parts(), theirs("body")),
    "a chord in a step's chord": lambda: chain(
        ask("a"), chord([theirs("x"), _inner()], theirs("e"))
    ),
    "a chord as a body": lambda: chord([ask("a"), ask("a2")], _inner()),
}


@pytest.mark.parametrize("lives_for", [1, 2])
@pytest.mark.parametrize("name", FOLLOWING)
def test_what_is_published_in_two_goes_is_counted_in_one_chord(
    service: Service, monkeypatch: pytest.MonkeyPatch, name: str, lives_for: int
) -> None:
    """
    Each task goes out once, and the parts of the chord name the group whose size Redis knows.
    """
    with calling(service.redis_url):
        FOLLOWING[name]().apply_async()
    service.pump.run_once()
    answer_all(service)

    with monkeypatch.context() as patched:
        _die_after(patched, lives_for)
        with pytest.raises(SystemExit):
            service.completer.run()
    _let_go(service)
    service.completer.run()

    found = [json.loads(raw)["headers"] for raw in service.client.lrange(HOME, 0, -1)]
    assert {1} == set(Counter(one["id"] for one in found).values())
    (group_id,) = {one["group"] for one in found if one["id"] in PARTS}
    assert b"3" == service.client.get(chord_key(service, group_id, ".s"))


def _die_after(patched: pytest.MonkeyPatch, count: int) -> None:
    """Let the publisher die instead of pushing one more of the caller's tasks."""
    push = once.OnceChannel._put
    pushed: list[dict[str, Any]] = []

    def dying(channel: Any, queue: str, message: dict[str, Any], **options: Any) -> None:
        if queue == HOME:
            if len(pushed) == count:
                raise SystemExit
            pushed.append(message)
        push(channel, queue, message, **options)

    patched.setattr(once.OnceChannel, "_put", dying)


def _let_go(service: Service) -> None:
    """The dead one's lease, and its claim on the chord, run out."""
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE ticket SET leased_until = NULL"))
    for key in service.client.keys("celery-taskset-meta-*.c"):
        service.client.delete(key)
