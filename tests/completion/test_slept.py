"""Somebody stands still between a look at the ledger and a publishing, while Redis forgets."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from celery import Celery
from sqlalchemy import text

from app.completion import once
from app.completion.once import RedisForgotError
from app.completion.redis_mark import Fence
from dev.fault_proxy import Deed, Fault, FaultProxy
from tests.client.apps import calling
from tests.completion.chorded import HOME, answer_all, ask, bodies, chord_key, publish, theirs
from tests.completion.conftest import Service, a_chord_keeper, a_completer


def test_what_another_published_meanwhile_goes_out_once(
    service: Service, proxy: FaultProxy, proxied: Celery
) -> None:
    """
    Its ticket was completed by another, and Redis forgot that, was told again or not: the ledger was asked
    too early, and Redis knows nothing.
    """
    _call(service)
    # What a connection says first: its callback is the first that this completer says there.
    held = proxy.arm(Fault(request=re.compile(rb"CLIENT"), deed=Deed.HOLD))
    with ThreadPoolExecutor(1) as apart:
        slept = apart.submit(a_completer(service, proxied).run)
        assert held.struck.wait(20)
        _let_leases_end(service)
        assert 1 == service.completer.run()
        assert 1 == bodies(service, "linked")

        service.client.flushall()
        proxy.release(held)
        assert 0 == slept.result(20)
    assert 0 == bodies(service, "linked")

    service.loss.run()
    service.completer.run()
    assert 0 == bodies(service, "linked")
    assert service.client.exists("celery-task-meta-a")


def test_a_lost_chord_is_told_once_by_whoever_looked_at_it(
    service: Service, proxy: FaultProxy, proxied: Celery
) -> None:
    """
    Another told of it while this one stood still, and then Redis forgot: its errback is not called again.
    """
    body = theirs("body").set(link_error=[theirs("errback")])
    group_id = publish(service, [ask("a"), theirs("b")], body)
    service.client.delete(chord_key(service, group_id, ".s"))
    sleeper = a_chord_keeper(service.engine, proxied, service.client)
    held = proxy.arm(Fault(request=re.compile(rb"CLIENT"), deed=Deed.HOLD))
    with ThreadPoolExecutor(1) as apart:
        slept = apart.submit(sleeper.sweep, remembers=service.loss.remembers)
        assert held.struck.wait(20)
        assert 1 == service.chords.sweep(remembers=service.loss.remembers)
        assert 1 == bodies(service, "errback")

        service.client.flushall()
        proxy.release(held)
        slept.result(20)
    assert 0 == bodies(service, "errback")


@pytest.mark.parametrize(
    "other",
    [{"value": "another"}, {"replication_id": "0" * 40}],
    ids=["forgotten", "a replica that took over"],
)
def test_nothing_is_published_in_another_redis_than_was_looked_at(
    service: Service, other: dict[str, str]
) -> None:
    """Whoever looked at the one that was there before begins anew."""
    here = service.mark.fence()
    assert here.mark.replication_id
    elsewhere = replace(here, mark=replace(here.mark, **other))
    for fence, wanted in ((elsewhere, 0), (here, 1)):
        assert wanted == _published_in(service, fence)


def test_a_redis_that_does_not_name_its_history_is_known_by_the_mark(service: Service) -> None:
    """INFO may be closed to the service's user."""
    here = service.mark.fence()

    fence = replace(here, mark=replace(here.mark, replication_id=None))
    assert 1 == _published_in(service, fence)


def test_a_mark_that_is_left_here_hides_no_loss(service: Service) -> None:
    """The ledger expects the one from before."""
    service.loss.run()
    service.client.flushall()
    service.mark.fence()

    assert not service.loss.remembers()


def _published_in(service: Service, fence: Fence) -> int:
    with once.watched(lambda _: False, fence):
        try:
            service.app.send_task("caller.task", task_id="linked", queue=HOME)
        except RedisForgotError:
            assert 0 == bodies(service, "linked")
    return bodies(service, "linked")


def _call(service: Service) -> None:
    with calling(service.redis_url):
        ask("a").apply_async(link=theirs("linked"))
    service.pump.run_once()
    service.loss.run()
    answer_all(service)


def _let_leases_end(service: Service) -> None:
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE ticket SET leased_until = NULL WHERE state = 'ready'"))
