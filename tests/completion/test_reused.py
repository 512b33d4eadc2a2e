"""A canvas that its caller builds once and applies twice: what follows has one task id, and goes out both times."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from celery import chord, signature
from sqlalchemy import text

from tests.client.apps import calling
from tests.completion.chorded import HOME, answer_all, bodies, theirs
from tests.completion.conftest import Service
from tests.completion.test_redis_loss import settle
from unhurried import messages


def _ask(name: str) -> Any:
    """A call whose task id Celery gives it, anew each time."""
    turns = [{"role": "user", "content": name}]
    return messages.s(model="claude-haiku-4-5", max_tokens=9, messages=turns, tier="batch")


def _linked() -> Any:
    return _ask("a").set(link=[theirs("follows")])


def _chained() -> Any:
    return _ask("a") | theirs("follows")


def _chorded() -> Any:
    return chord([_ask("a"), _ask("b")], theirs("follows"))


#: Each built once.
CANVASES: Final[dict[str, Callable[[], Any]]] = {
    "a link": _linked,
    "a chain's step": _chained,
    "a chord's body": _chorded,
}


def _apply(service: Service, canvas: Any, *, times: int) -> None:
    with calling(service.redis_url):
        for _ in range(times):
            canvas.apply_async()
    service.pump.run_once()
    for _ in range(2):
        service.loss.run()


@pytest.mark.parametrize("name", CANVASES)
def test_what_follows_goes_out_each_time(service: Service, name: str) -> None:
    """And no more often, however often each end is told."""
    _apply(service, CANVASES[name](), times=2)
    answer_all(service)
    service.completer.run()
    assert 2 == bodies(service, "follows")

    _tell_all_again(service)
    assert 2 == bodies(service, "follows")


@pytest.mark.parametrize("name", CANVASES)
def test_after_a_flush_only_the_one_that_is_missing_goes_out(service: Service, name: str) -> None:
    """
    The first is done and noted; the second, under way when Redis forgot, is not taken for it.
    """
    canvas = CANVASES[name]()
    _apply(service, canvas, times=1)
    answer_all(service)
    service.completer.run()
    assert 1 == bodies(service, "follows")
    _apply(service, canvas, times=1)

    service.client.flushall()
    settle(service)
    answer_all(service)
    _tell_all_again(service)
    assert 1 == bodies(service, "follows")


def test_a_chain_that_ends_in_a_call_asks_each_time(service: Service) -> None:
    """
    Its call has one task id too: each request is answered, and what follows has both answers.
    """
    for _ in range(2):
        for prompt in ("one", "another"):
            with calling(service.redis_url):
                last = _ask(prompt).set(task_id="last", link=[signature("caller.task", queue=HOME)])
                last.apply_async()
    for _ in range(2):
        service.pump.run_once()
    answer_all(service)
    service.completer.run()

    assert 2 == service.client.llen(HOME)
    with service.engine.connect() as connection:
        assert 2 == connection.execute(text("SELECT count(*) FROM job")).scalar_one()


def test_a_restored_ledger_that_gives_numbers_anew_gives_no_callbacks_id_anew(
    service: Service,
) -> None:
    """
    Redis remembers what went out for a ticket that the restored ledger does not know, under its number.
    """
    for name in ("before", "after"):
        with calling(service.redis_url):
            _ask(name).set(link=[signature("caller.task", queue=HOME)]).apply_async()
        service.pump.run_once()
        answer_all(service)
        service.completer.run()
        with service.engine.begin() as connection:
            connection.execute(text("TRUNCATE ticket, published RESTART IDENTITY CASCADE"))

    assert 2 == service.client.llen(HOME)


def _tell_all_again(service: Service) -> None:
    with service.engine.begin() as connection:
        connection.execute(
            text("""
                UPDATE ticket SET state = 'ready', ready_at = now(), generation = generation + 1,
                                  leased_until = NULL, attempts = 1
                WHERE state <> 'open'
            """)
        )
    settle(service)
