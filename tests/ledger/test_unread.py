"""Unread results, read from a real ledger: who awaits them, and what counts as having come."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.ledger import engine as ledger
from app.ledger import pick_ups, redelivery
from app.ledger.arrivals import Admission
from app.ledger.notifications import Due
from app.ledger.redelivery import Publication
from app.policy.awaiting import Follower
from tests.ledger.awaited import (
    PAGE,
    REPORT,
    a_call,
    answered,
    complete,
    note,
    results_of,
    unread,
)
from tests.support.answering import admit, fail
from tests.support.factories import uuid
from unhurried.contract import WebhookNotice


def test_published_is_not_picked_up(engine: Engine) -> None:
    """
    What a callback was published with is unread until its consumer has read it; then nobody is missed.
    """
    job_ids = answered(engine, a_call(follower="tasks.report", workload="notes"))
    assert {"tasks.report": 1} == unread(engine)
    note(engine, by=REPORT)
    assert {"weekly-report": 1} == unread(engine)

    note(engine, by=REPORT, result_ids=results_of(engine, job_ids))

    assert {} == unread(engine)


def test_a_plain_task_that_took_it_is_enough(engine: Engine) -> None:
    """
    A reader without a name picks up as well.
    """
    job_ids = answered(engine, a_call(follower="tasks.store"))
    note(engine, by=None, result_ids=results_of(engine, job_ids))

    assert {} == unread(engine)


@pytest.mark.parametrize(
    "call",
    [
        a_call(),
        a_call(ignore_result=True, workload="notes"),
        a_call(follower="tasks.store", tells=False),
        a_call(follower="unhurried.email.v1"),
        a_call(workload="notes", notify=[{"kind": "email", "to": "a@example.org"}]),
        a_call(workload="unread-by-design"),
    ],
    ids=["plain", "ignored", "older caller", "mail", "mailed", "no consumer"],
)
def test_nobody_is_missed_who_need_not_come(engine: Engine, call: Admission) -> None:
    """
    Fire and forget, a person who was mailed, a workload without consumers, a caller who does not tell.
    """
    note(engine, by=PAGE)
    answered(engine, call)

    assert {} == unread(engine)


def test_a_declared_consumer_is_missed(engine: Engine) -> None:
    """
    A page is declared and nobody has looked at it; a read ends that.
    """
    note(engine, by=PAGE)
    job_ids = answered(engine, a_call(workload="notes"))
    assert {"page": 1} == unread(engine)

    note(engine, by=PAGE, result_ids=results_of(engine, job_ids))

    assert {} == unread(engine)


def test_a_failed_job_has_nothing_to_read(engine: Engine) -> None:
    """
    Its callback was never published.
    """
    fail(engine, admit(engine, [a_call(follower="tasks.report")]))
    complete(engine)

    assert {} == unread(engine)


def test_an_answer_that_is_used_again_is_awaited_again(engine: Engine) -> None:
    """
    Who read it yesterday, for another call, has not read it for this one.
    """
    job_ids = answered(engine, a_call("first", follower="tasks.report"))
    note(engine, by=REPORT, result_ids=results_of(engine, job_ids))
    again = a_call("second", follower="tasks.other")
    admit(engine, [replace(again, decision=a_call("first").decision)])
    complete(engine)

    assert {"tasks.other": 1} == unread(engine)


def test_a_chord_counts_from_its_body(engine: Engine) -> None:
    """
    Parts that have ended while others go on are nobody's to read yet.
    """
    part: dict[str, Any] = {
        "follower": "tasks.body",
        "follower_id": "body-1",
        "in_chord": True,
        "group_id": "g",
    }
    job_ids = answered(engine, a_call("part-1", **part), a_call("part-2", **part))
    assert {} == unread(engine)
    with engine.begin() as connection:
        redelivery.remember_published(
            connection, [Publication("chord/g", "body-1")], at=ledger.now(connection)
        )
    assert {"tasks.body": 2} == unread(engine)

    note(engine, by=REPORT, result_ids=results_of(engine, job_ids))

    assert {} == unread(engine)


def test_a_run_counts_from_its_end(engine: Engine) -> None:
    """
    Parts of a run that goes on are nobody's to read yet; whoever takes its end has read them all.
    """
    run_id = uuid(7)
    note(engine, by=PAGE)
    answered(engine, a_call("part-1", workload="notes", run=str(run_id)))
    assert {} == unread(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE run SET ended_at = now()"))
    assert {"page": 1} == unread(engine)

    note(engine, by=None, run_id=run_id)

    assert {} == unread(engine)


def a_due(**fields: Any) -> Due:
    """A webhook that was just taken."""
    given: dict[str, Any] = {"job_id": None, "ticket_id": None, "payload": {}, **fields}
    return Due(
        id=uuid(1),
        tenant="default",
        kind="webhook",
        attempts=1,
        created_at=datetime.fromisoformat("2026-11-23T12:00:00+00:00"),
        **given,
    )


def take(engine: Engine, due: Due) -> None:
    with engine.begin() as connection:
        pick_ups.taken_by_webhook(connection, "crm", due, at=ledger.now(connection))


def test_a_webhook_that_was_taken_is_a_pick_up(engine: Engine) -> None:
    """
    Its receiver is missed until it says 2xx to what tells of the job.
    """
    hook = WebhookNotice(kind="webhook", receiver="crm").model_dump()
    (job_id,) = answered(engine, a_call(notify=[hook]))
    assert {"webhook:crm": 1} == unread(engine)

    take(engine, a_due(job_id=job_id))

    assert {} == unread(engine)


def test_a_webhook_as_a_chords_body_takes_the_whole_header(engine: Engine) -> None:
    """
    The body's own ticket leads to the calls whose chord it ends.
    """
    hook = Follower(task="unhurried.webhook.v1", task_id="hook-1", receiver="crm")
    parts = [a_call(name, in_chord=True, group_id="g") for name in ("part-1", "part-2")]
    answered(engine, *(replace(p, message=replace(p.message, follower=hook)) for p in parts))
    # Stands for the webhook's own task.
    admit(engine, [a_call("hook-1")])
    with engine.begin() as connection:
        redelivery.remember_published(
            connection, [Publication("chord/g", "hook-1")], at=ledger.now(connection)
        )
        ticket_id = connection.execute(
            text("SELECT id FROM ticket WHERE task_id = 'hook-1'")
        ).scalar_one()
    assert {"webhook:crm": 2} == unread(engine)

    take(engine, a_due(ticket_id=ticket_id))

    assert {} == unread(engine)
