"""Chords that a caller publishes and that are answered without a provider, as Redis then has them."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from celery import chord, signature
from celery.app.task import Context
from sqlalchemy import text

from tests.client.apps import calling
from tests.completion.conftest import Service
from tests.support.answering import answer, fail
from unhurried import messages

#: The caller's own queue.
HOME = "celery"


def ask(name: str, **options: Any) -> Any:
    """A part of ours."""
    turns = [{"role": "user", "content": name}]
    asked = messages.s(
        model="claude-haiku-4-5", max_tokens=9, messages=turns, tier="batch", **options
    )
    return asked.set(task_id=name)


def theirs(name: str) -> Any:
    """A task of the caller's own."""
    return signature("caller.task", task_id=name, queue=HOME)


def publish(service: Service, parts: Sequence[Any], body: Any) -> str:
    """Publish a chord and take our parts in; its group's id."""
    with calling(_url(service)):
        published = chord(list(parts), body).apply_async()
    service.pump.run_once()
    # The first look leaves a mark, the second asks how large chords are.
    for _ in range(2):
        service.loss.run()
    header: Any = published.parent
    return str(header.id)


def answer_all(service: Service) -> None:
    """Answer every job that waits."""
    answer(service.engine, waiting(service))


def fail_all(service: Service) -> None:
    """Let every job that waits fail."""
    fail(service.engine, waiting(service))


def waiting(service: Service) -> list[UUID]:
    """Jobs that wait, in the order of their admission."""
    with service.engine.connect() as connection:
        ids = connection.execute(
            text("SELECT id FROM job WHERE state = 'waiting' ORDER BY admitted_at, id")
        ).scalars()
        return list(ids)


def finish(service: Service) -> None:
    """Answer every job that waits, and complete it."""
    answer_all(service)
    service.completer.run()


def return_theirs(service: Service, group_id: str, name: str, *, index: int, body: Any) -> None:
    """What the caller's worker does at the end of its own part of a chord."""
    request = Context(id=name, group=group_id, group_index=index, chord=body)
    with calling(_url(service)) as app:
        backend: Any = app.backend
        backend.on_chord_part_return(request, "SUCCESS", {"by": name})


def _url(service: Service) -> str:
    return service.redis_url


def bodies(service: Service, body: str) -> int:
    """How often a body was published to the caller's own queue."""
    found = service.client.lrange(HOME, 0, -1)
    return sum(json.loads(raw)["headers"]["id"] == body for raw in found)


def chord_key(service: Service, group_id: str, suffix: str) -> Any:
    """One of Celery's keys of a chord."""
    backend: Any = service.app.backend
    return backend.get_key_for_group(group_id, suffix)
