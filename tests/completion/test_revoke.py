"""A revoke of a task of ours, hours later: what Celery's own worker would have left, and the job with it."""

from typing import Any

import pytest
from celery import chord, states
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult
from celery.worker.control import Panel
from sqlalchemy import text

from app.changing.revocations import heard
from app.ledger import admission, revoking
from app.ledger import engine as ledger
from app.ledger.arrivals import Admitted
from tests.client.apps import calling
from tests.completion.conftest import Service, a_pump
from tests.support.answering import admit, answer
from tests.support.factories import an_admission
from unhurried import JobCancelled, email, messages


def revoke(service: Service, *task_ids: str) -> int:
    """As if a worker of ours had heard it; how many tickets ended."""
    heard(service.client, "", task_ids)
    count = service.revocations.run()
    service.completer.run()
    return count


def seen(service: Service, task_id: str) -> tuple[str, Any]:
    """What Celery shows."""
    found: AsyncResult[Any] = AsyncResult(task_id, app=service.app)
    return found.state, found.result


def jobs(service: Service) -> dict[str, tuple[str, bool]]:
    """State of the job of each task, and whether nobody wants it any more."""
    with service.engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT task_id, job.state, cancel_requested_at IS NOT NULL AS unwanted
                FROM ticket JOIN job ON job.id = ticket.job_id
            """)
        )
        return {row.task_id: (row.state, row.unwanted) for row in rows}


def test_a_revoked_task_is_revoked_and_its_job_is_not_bought(service: Service) -> None:
    """
    It was waiting: the job ends with it, and Celery's own error says why.
    """
    admit(service.engine, [an_admission("a"), an_admission("b")])

    assert 1 == revoke(service, "a")
    state, error = seen(service, "a")
    assert (states.REVOKED, TaskRevokedError, ("revoked",)) == (state, type(error), error.args)
    assert {"a": ("cancelled", False), "b": ("waiting", False)} == jobs(service)
    assert 0 == revoke(service, "a")


def test_a_job_that_others_wait_for_goes_on(service: Service) -> None:
    """
    One of two tasks of a key is revoked; the other has its answer.
    """
    (job, _) = admit(service.engine, [an_admission("a", key="k"), an_admission("b", key="k")])
    revoke(service, "a")
    answer(service.engine, [job])
    service.completer.run()

    assert [states.REVOKED, states.SUCCESS] == [seen(service, one)[0] for one in ("a", "b")]


def test_an_answer_that_comes_after_a_revoke_is_kept(service: Service) -> None:
    """
    In flight, the job comes to its end and its answer stays in the ledger; the task stays revoked.
    """
    admit(service.engine, [an_admission("a", key="k")])
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE job SET state = 'in_flight', attempt = 1"))
    revoke(service, "a")
    assert {"a": ("in_flight", True)} == jobs(service)
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE job SET state = 'succeeded', output = 'Fine.'"))
    service.completer.run()

    assert states.REVOKED == seen(service, "a")[0]
    (late,) = admit(service.engine, [an_admission("late", key="k")])
    service.completer.run()
    assert (states.SUCCESS, "Fine.") == (
        seen(service, "late")[0],
        seen(service, "late")[1]["output"],
    )
    assert late


def test_a_message_that_comes_after_its_revoke_ends_at_once(service: Service) -> None:
    """
    Revoked while it lay in Redis: nothing of it is ever asked.
    """
    assert 0 == revoke(service, "a")
    assert [] == [one for one in _admitted(service, "a") if not one.ready]
    service.completer.run()

    assert states.REVOKED == seen(service, "a")[0]
    assert {} == jobs(service)


def test_a_message_that_was_admitted_meanwhile_is_found(service: Service) -> None:
    """
    Its admission and the note of its revoke saw nothing of each other.
    """
    admit(service.engine, [an_admission("a")])
    with service.engine.begin() as connection:
        revoking.note(connection, ["a"], at=ledger.now(connection))

    assert 1 == service.revocations.run()
    assert {"a": ("cancelled", False)} == jobs(service)


def test_whatever_the_failure_policy_a_revoked_task_is_revoked(service: Service) -> None:
    """
    `return` makes values of failures, and a revoke is none.
    """
    admit(service.engine, [an_admission("a", on_failure="return")])
    revoke(service, "a")

    assert states.REVOKED == seen(service, "a")[0]


def test_a_revoked_part_fails_its_chord_as_celery_does(service: Service, redis_url: str) -> None:
    """
    The body fails with Celery's own ChordError that names the part.
    """
    with calling(redis_url):
        parts = [
            messages.s(model="claude-haiku-4-5", max_tokens=9, messages=_said(name), tier="batch")
            for name in ("a", "b")
        ]
        body = chord(parts)(email.s(to="reader@example.org"))
    service.pump.run_once()
    header: Any = body.parent
    first, second = (one.id for one in header.results)
    revoke(service, first)
    with service.engine.connect() as connection:
        statement = text("SELECT job_id FROM ticket WHERE task_id = :id")
        (job,) = connection.execute(statement, {"id": second}).scalars()
    answer(service.engine, [job])
    service.completer.run()

    state, error = seen(service, body.id)
    assert (states.FAILURE, "ChordError") == (state, type(error).__name__)
    assert first in str(error)
    assert "TaskRevokedError" in str(error)


def test_a_mail_that_was_not_sent_is_not_sent(service: Service, redis_url: str) -> None:
    """
    A revoked `email` task ends, and what it asked for is given up.
    """
    with calling(redis_url):
        sent = email.delay(to="reader@example.org")
    _notify(service)
    revoke(service, sent.id)

    with service.engine.connect() as connection:
        found = connection.execute(text("SELECT state FROM notification")).scalars().all()
    assert (["dead"], states.REVOKED) == (list(found), seen(service, sent.id)[0])


def test_a_lost_revoke_comes_back(service: Service) -> None:
    """
    Redis was emptied; who asks gets what the ledger has.
    """
    admit(service.engine, [an_admission("a")])
    revoke(service, "a")
    service.client.flushdb()
    service.restorer.result("a")

    assert states.REVOKED == seen(service, "a")[0]


def test_a_reader_of_a_revoked_job_hears_that_it_was_cancelled(service: Service) -> None:
    """
    `state`, `ready` and `result` agree.
    """
    admit(service.engine, [an_admission("a")])
    revoke(service, "a")
    with calling(str(service.app.conf.result_backend)):
        job = messages.job("a")
        assert ("cancelled", True) == (job.state, job.ready())
        with pytest.raises(JobCancelled, match="cancelled"):
            job.result()


def test_what_is_remembered_is_bounded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The oldest are forgotten first, names that are none at once.
    """
    monkeypatch.setattr(revoking, "REMEMBERED_MAX", 2)
    assert 0 == heard(service.client, "", ["", "a\0", "x" * 501])
    for name in ("a", "b", "c"):
        revoke(service, name)
    with service.engine.begin() as connection:
        assert 1 == revoking.prune(connection, at=ledger.now(connection))
        assert {"b", "c"} == revoking.among(connection, ["a", "b", "c"])


def test_every_worker_of_ours_hears_a_revoke(service: Service) -> None:
    """
    Celery's remote control is the one that notes.
    """
    service.app.loader.import_default_modules()

    assert "tasks.revoking" == Panel.data["revoke"].__module__


def _said(text_: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text_}]


def _admitted(service: Service, task_id: str) -> list[Admitted]:
    with service.engine.begin() as connection:
        one = an_admission(task_id)
        return admission.admit(connection, [one], at=ledger.now(connection))


def _notify(service: Service) -> None:
    """Take in what asks for notifications."""
    pump = a_pump(
        service.engine,
        service.announcer,
        service.client,
        known_as=service.mark.known_as,
    )
    pump._queues.append("unhurried.notify")
    pump.run_once()
