"""Redis or the ledger is away in the middle of a chord's last step: the chord has not failed, and the step is
taken again.
"""

import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from celery import Celery, group
from sqlalchemy import Engine, text

from app.completion.complete import Completer
from dev.fault_proxy import Deed, Fault, FaultProxy
from tests.completion.chorded import answer_all, ask, bodies, chord_key, fail_all, publish, theirs
from tests.completion.conftest import Service, a_completer

#: What Celery says in that step: of its claim, and of the body itself.
STEPS: Final = ("claim", "parts")
#: More than kombu takes to publish one message.
TRIES: Final = 20
BODIES: Final[dict[str, Callable[[], Any]]] = {
    "one task": lambda: theirs("body").set(link_error=[theirs("errback")]),
    "a group": lambda: group(theirs("body").set(link_error=[theirs("errback")]), theirs("other")),
}


@pytest.mark.parametrize("step", STEPS)
def test_an_outage_in_the_last_step_of_a_chord_fails_nothing(
    service: Service, proxy: FaultProxy, proxied: Celery, step: str
) -> None:
    """
    The ticket stays to be told, the chord stays as large as it is, and then its body goes out, once.
    """
    group_id = publish(service, [ask("a"), ask("b")], theirs("body"))
    answer_all(service)
    fault = proxy.arm(Fault(request=_said_in(proxied, step), deed=Deed.LOSE))

    assert 1 == a_completer(service, proxied).run()
    assert fault.struck.is_set()
    assert 0 == bodies(service, "body")
    assert service.client.get("celery-task-meta-body") is None
    assert b"2" == service.client.get(chord_key(service, group_id, ".s"))

    _let_time_pass(service, group_id)
    assert [1, 0] == [a_completer(service, proxied).run() for _ in range(2)]
    assert 1 == bodies(service, "body")


def test_a_ledger_that_is_away_in_the_last_step_of_a_chord_fails_nothing(
    service: Service, ledger_proxy: FaultProxy, proxied_engine: Engine
) -> None:
    """
    A ticket that is told again asks it whether the body has gone out, where Celery sees every error.
    """
    group_id = publish(service, [ask("a"), ask("b")], theirs("body"))
    answer_all(service)
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE ticket SET attempts = 1"))
    # Each part asks before it is counted; the last one once more, before the body is pushed.
    asked = re.compile(rb"FROM published")
    fault = ledger_proxy.arm(Fault(request=asked, deed=Deed.LOSE, skip=2))

    assert 1 == a_completer(service, service.app, engine=proxied_engine).run()
    assert fault.struck.is_set()
    assert 0 == bodies(service, "body")
    assert service.client.get("celery-task-meta-body") is None
    assert b"2" == service.client.get(chord_key(service, group_id, ".s"))

    _let_time_pass(service, group_id)
    assert [1, 0] == [service.completer.run() for _ in range(2)]
    assert 1 == bodies(service, "body")


@pytest.mark.parametrize("body", BODIES)
def test_an_outage_while_a_chord_fails_loses_no_errback(
    service: Service, proxy: FaultProxy, proxied: Celery, body: str
) -> None:
    """
    Celery keeps the outage as the body's failure, and calls the errback no more.
    """
    group_id = publish(service, [ask("a", on_failure="raise"), ask("b")], BODIES[body]())
    fail_all(service)
    # As often as kombu tries.
    faults = [
        proxy.arm(Fault(request=re.compile(rb"unhurried:once:errback"), deed=Deed.LOSE))
        for _ in range(TRIES)
    ]

    a_completer(service, proxied).run()
    assert faults[0].struck.is_set()
    assert 0 == bodies(service, "errback")
    assert service.client.get("celery-task-meta-body") is None
    assert b"2" == service.client.get(chord_key(service, group_id, ".s"))

    _let_time_pass(service, group_id)
    service.completer.run()
    assert 1 == bodies(service, "errback")
    failed = json.loads(service.client.get("celery-task-meta-body"))
    # Celery gives the tasks of a group what the part failed with.
    kind = {"one task": "ChordError", "a group": "RequestRejected"}[body]
    assert ("FAILURE", kind) == (failed["status"], failed["result"]["exc_type"])


@pytest.mark.usefixtures("interruptible")
def test_a_process_that_is_told_to_end_in_the_last_step_leaves_the_chord_as_it_is(
    service: Service, proxy: FaultProxy, proxied: Celery
) -> None:
    """Celery would mark the chord as done on the way out, though its body never went."""
    group_id = publish(service, [ask("a"), ask("b")], theirs("body"))
    answer_all(service)
    fault = proxy.arm(Fault(request=re.compile(rb"unhurried:once:body"), deed=Deed.KEEP))
    ended = threading.Event()
    interrupter = threading.Thread(target=_interrupt_when, args=[fault.struck, ended])
    interrupter.start()

    with pytest.raises(KeyboardInterrupt):
        _run(a_completer(service, proxied), ended)
    interrupter.join()
    assert 0 == bodies(service, "body")
    assert b"2" == service.client.get(chord_key(service, group_id, ".s"))

    _let_time_pass(service, group_id)
    assert 2 == a_completer(service, proxied).run()
    assert 1 == bodies(service, "body")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell that runs the tests in the background has them ignore what interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _run(completer: Completer, ended: threading.Event) -> None:
    try:
        completer.run()
    finally:
        ended.set()


def _interrupt_when(happened: threading.Event, ended: threading.Event) -> None:
    """Interrupt the main thread until it has ended: one that comes just before it waits is seen too late."""
    assert happened.wait(20)
    main = threading.main_thread().ident
    assert main is not None
    while not ended.is_set():
        signal.pthread_kill(main, signal.SIGINT)
        ended.wait(1)


def _let_time_pass(service: Service, group_id: str) -> None:
    """The claim on the chord runs out, and so does the rest that a ticket was given."""
    service.client.delete(chord_key(service, group_id, ".c"))
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE ticket SET leased_until = NULL WHERE state = 'ready'"))


def _said_in(app: Celery, step: str) -> re.Pattern[bytes]:
    if step == "parts":
        return re.compile(rb"ZRANGE.*celery-taskset-meta", re.DOTALL)
    backend: Any = app.backend
    return re.compile(backend._chord_claim_extend_script.sha.encode())
