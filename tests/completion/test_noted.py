"""A body that went out is noted by whoever comes next, where the one that published it did not live to do so.

Celery does not take a chord's last step again, so it would be remembered nowhere once Redis is emptied.
"""

import re
from collections.abc import Callable
from typing import Final

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from dev.fault_proxy import Deed, Fault, FaultProxy
from tests.completion.chorded import answer_all, ask, bodies, publish, theirs
from tests.completion.conftest import Service, a_completer
from tests.completion.test_redis_loss import settle

#: What closes the tickets that were told, and with them notes what was published.
CLOSES: Final = re.compile(rb"completed_at = ")


def _the_next_completer(service: Service) -> None:
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE ticket SET leased_until = NULL WHERE state = 'ready'"))
    assert 2 == service.completer.run()


def _the_sweeper_of_chords(service: Service) -> None:
    service.chords.sweep(remembers=lambda: True)


@pytest.mark.parametrize("comes_next", [_the_next_completer, _the_sweeper_of_chords])
def test_a_body_whose_note_was_lost_goes_out_no_more_after_a_flush(
    service: Service,
    ledger_proxy: FaultProxy,
    proxied_engine: Engine,
    comes_next: Callable[[Service], None],
) -> None:
    """
    Its transaction broke; whoever looks at the chord finds Redis's own mark of the body, while it is there.
    """
    publish(service, [ask("a"), ask("b")], theirs("body"))
    answer_all(service)
    ledger_proxy.arm(Fault(request=CLOSES, deed=Deed.LOSE))
    with pytest.raises(SQLAlchemyError):
        a_completer(service, service.app, engine=proxied_engine).run()
    assert 1 == bodies(service, "body")

    comes_next(service)
    service.client.flushall()
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE ticket SET leased_until = NULL"))
    settle(service)

    assert 0 == bodies(service, "body")
