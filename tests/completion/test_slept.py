"""A completer that stands still between its look at the ledger and a publishing, while Redis forgets."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from celery import Celery
from sqlalchemy import text

from app.completion import once
from app.completion.once import Fence, RedisForgotError
from app.ledger.redelivery import Mark
from dev.fault_proxy import Deed, Fault, FaultProxy
from tests.client.apps import calling
from tests.completion.chorded import HOME, answer_all, ask, bodies, theirs
from tests.completion.conftest import Service, a_completer


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


@pytest.mark.parametrize(
    "other",
    [{"value": "another"}, {"replication_id": "0" * 40}],
    ids=["forgotten", "a replica that took over"],
)
def test_nothing_is_published_in_another_redis_than_was_looked_at(
    service: Service, other: dict[str, str]
) -> None:
    """Whoever looked at the one that was there before begins anew."""
    now = service.mark.known()
    assert now.replication_id
    for mark, wanted in ((replace(now, **other), 0), (now, 1)):
        assert wanted == _published_in(service, mark)


def test_a_redis_that_does_not_name_its_history_is_known_by_the_mark(service: Service) -> None:
    """INFO may be closed to the service's user."""
    mark = replace(service.mark.known(), replication_id=None)

    assert 1 == _published_in(service, mark)


def test_a_mark_that_is_left_here_hides_no_loss(service: Service) -> None:
    """The ledger expects the one from before."""
    service.loss.run()
    service.client.flushall()
    service.mark.known()

    assert not service.loss.remembers()


def _published_in(service: Service, mark: Mark) -> int:
    with once.watched(lambda _: False, Fence(service.mark.key, mark)):
        try:
            service.app.send_task("caller.task", task_id="linked", queue=HOME)
        except RedisForgotError:
            assert 0 == bodies(service, "linked")
    return bodies(service, "linked")


def _call(service: Service) -> None:
    with calling(str(service.app.conf.broker_read_url)):
        ask("a").apply_async(link=theirs("linked"))
    service.pump.run_once()
    service.loss.run()
    answer_all(service)


def _let_leases_end(service: Service) -> None:
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE ticket SET leased_until = NULL WHERE state = 'ready'"))
