"""What a caller's next release must still know by name, while batches are in flight."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import chain, chord, group
from celery.canvas import chunks, xmap, xstarmap

from app.completion.callbacks import Callbacks
from tests.client.apps import calling
from tests.completion.conftest import Service
from unhurried import messages
from unhurried.readers import reply_key

#: A prompt that makes a call a large one.
_LARGE = "x" * 90_000


@contextmanager
def traced_memory() -> Iterator[Callable[[], int]]:
    """Says how many bytes of Python's were held at once since it began."""
    gc.collect()
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def ask(number: int, *, more: str = "") -> Any:
    """One call at the batch tier."""
    turns = [{"role": "user", "content": f"Note {number}.{more}"}]
    return messages.s(model="claude-haiku-4-5", max_tokens=10, messages=turns, tier="batch")


def publish(app: Any) -> None:
    """Links, an errback, a chain's next step, and a body that is a chain of its own."""
    step = app.signature
    ask(1).apply_async(link=step("shop.linked"), link_error=step("shop.failed"))
    chain(ask(2), step("shop.next"), group(step("shop.one"), step("shop.two"))).apply_async()
    chord([ask(3), ask(4)])(chain(step("shop.body"), step("shop.after")))


def publish_maps(app: Any) -> None:
    """A task for each of many: as a next step, in a link, in a body, and chunks as a group."""
    step = app.signature
    chain(ask(1), xmap(step("shop.each"), [1, 2], app=app)).apply_async()
    ask(2).apply_async(link=xstarmap(step("shop.pair"), [(1, 2)], app=app))
    chunked = chunks(step("shop.chunk"), [(1, 2)], 1, app=app)
    chord([ask(3), ask(4)])(chain(step("shop.body"), chunked))
    chain(ask(5), chunks(step("shop.part"), [(1,), (2,)], 1, app=app).group()).apply_async()


MAPPED = {"each", "pair", "chunk", "part"}
NAMES = {"linked", "failed", "next", "one", "two", "body", "after"}


def test_every_task_that_will_be_called_is_named(service: Service) -> None:
    """
    However it is nested, and not once its ticket is completed.
    """
    callbacks = Callbacks(engine=service.engine, client=service.client, key_prefix="")
    with calling(service.redis_url) as app:
        assert {} == callbacks.run("before")
        publish(app)
        service.pump.run_once()
        found = callbacks.run("after")

    assert {f"shop.{name}" for name in NAMES} == set(found)
    assert 2 == found["shop.body"]
    assert service.client.get(reply_key("after"))


def test_a_task_that_is_called_for_each_of_many_is_named(service: Service) -> None:
    """
    `map`, `starmap` and `chunks` hold it inside.
    """
    callbacks = Callbacks(engine=service.engine, client=service.client, key_prefix="")
    with calling(service.redis_url) as app:
        publish_maps(app)
        service.pump.run_once()
        found = callbacks.run("maps")

    assert {f"shop.{name}" for name in MAPPED | {"body"}} == set(found)


@pytest.mark.parametrize("name", ["task", "tasks", "header", "body"])
def test_what_a_callers_own_task_is_given_is_no_task(service: Service, name: str) -> None:
    """
    Whatever the argument is called: in a canvas of Celery's it would name one.
    """
    callbacks = Callbacks(engine=service.engine, client=service.client, key_prefix="")
    with calling(service.redis_url) as app:
        ask(1).apply_async(link=app.signature("shop.mail", kwargs={name: [{"task": "Weekly"}]}))
        service.pump.run_once()
        found = callbacks.run("given")

    assert {"shop.mail": 1} == found


def test_large_calls_are_looked_at_a_few_at_a_time(service: Service) -> None:
    """
    Small ones beside them are named as well; who looks holds less than a tenth of what is waiting.
    """
    callbacks = Callbacks(engine=service.engine, client=service.client, key_prefix="")
    with calling(service.redis_url) as app:
        ask(0).apply_async(link=app.signature("shop.small"))
        for number in range(1, 91):
            ask(number, more=_LARGE).apply_async(link=app.signature("shop.large"))
        service.pump.run_once()
    with traced_memory() as peak:
        found = callbacks.run("large")
        held = peak()

    assert {"shop.small": 1, "shop.large": 90} == found
    assert held < 90 * len(_LARGE) // 10
