"""What Redis loses, the ledger still has: results, outputs and the pointers to the newest answers."""

from datetime import timedelta
from typing import Any

from celery import Celery

from tests.client.apps import calling
from tests.completion.conftest import Service
from tests.support.answering import admit, answer, fail
from tests.support.factories import NOW, an_admission
from unhurried import messages
from unhurried.contract import OUTPUT_INLINE_BYTES_MAX
from unhurried.errors import RequestRejected
from unhurried.readers import Reply, latest_key, reply_key

ABOUT: dict[str, Any] = {"workload": "notes", "subject": "user:17"}


def pointer(service: Service) -> str | None:
    """The task that is pointed at as the newest."""
    found = service.client.hget(latest_key(tenant="default", **ABOUT), "task_id")
    return found.decode() if found is not None else None


def as_a_caller(service: Service) -> Any:
    """A caller's app on the same Redis."""
    return calling(str(service.app.conf.result_backend))


def test_a_lost_result_comes_back_as_it_was(service: Service) -> None:
    """
    After Redis is emptied, asking brings back what the task had returned, a long output included.
    """
    long = "x" * (OUTPUT_INLINE_BYTES_MAX + 1)
    answer(service.engine, admit(service.engine, [an_admission("a")]), output=long)
    service.completer.run()
    with as_a_caller(service):
        before = messages.result("a")
        service.client.flushdb()
        assert Reply.RESTORED is service.restorer.result("a")
        again = messages.result("a")

    assert (before.model_dump(), long) == (again.model_dump(), again.output)
    assert b"restored" == service.client.get(reply_key("a"))


def test_a_lost_failure_comes_back_as_an_exception(service: Service) -> None:
    """
    A restored failure raises the same error class in the caller.
    """
    fail(service.engine, admit(service.engine, [an_admission("a")]))
    service.completer.run()
    service.client.flushdb()

    assert Reply.RESTORED is service.restorer.result("a")
    with as_a_caller(service):
        found = messages.job("a").celery
        assert isinstance(found.result, RequestRejected)


def test_a_job_that_has_not_ended_is_waiting_again(service: Service) -> None:
    """
    Its state comes back; an id that the ledger does not know stays unknown.
    """
    admit(service.engine, [an_admission("a")])

    assert [Reply.WAITING, Reply.UNKNOWN] == [
        service.restorer.result("a"),
        service.restorer.result("b"),
    ]
    with as_a_caller(service):
        assert "waiting" == messages.job("a").state


def test_restoring_overwrites_no_result(service: Service) -> None:
    """
    What Celery has stored under the id stays as it is.
    """
    answer(service.engine, admit(service.engine, [an_admission("a")]))
    service.completer.run()
    app: Celery = service.app
    key = app.backend.get_key_for_task("a")  # type: ignore[attr-defined]  # the Redis backend's own
    before = service.client.get(key)
    service.restorer.result("a")

    assert before == service.client.get(key)


def test_the_newest_answer_is_pointed_at_and_never_an_older_one(service: Service) -> None:
    """
    Newest is by as_of: an older input's answer that comes later takes nothing back, a failure neither.
    """
    hours = {"old": 3, "new": 1, "older": 5, "failed": 0}
    arrived = [
        an_admission(name, as_of=(NOW - timedelta(hours=age)).isoformat(), **ABOUT)
        for name, age in hours.items()
    ]
    jobs = dict(zip(hours, admit(service.engine, arrived), strict=True))
    seen = []
    for name in ("old", "new", "older"):
        answer(service.engine, [jobs[name]])
        service.completer.run()
        seen.append(pointer(service))
    fail(service.engine, [jobs["failed"]])
    service.completer.run()

    assert ["old", "new", "new", "new"] == [*seen, pointer(service)]


def test_a_lost_pointer_comes_back_with_its_result(service: Service) -> None:
    """
    The client's own question finds the newest answer again.
    """
    answer(service.engine, admit(service.engine, [an_admission("a", **ABOUT)]))
    service.completer.run()
    service.client.flushdb()

    assert Reply.RESTORED is service.restorer.newest(tenant="default", **ABOUT)
    with as_a_caller(service):
        found = messages.latest("notes", subject="user:17", max_staleness="30d")
    assert ("Fine.", "user:17") == (found.output, found.subject)


def test_what_is_not_answered_yet_is_waiting(service: Service) -> None:
    """
    A job without an answer is waiting; another tenant's is none of ours.
    """
    admit(service.engine, [an_admission("a", **ABOUT)])

    assert [Reply.WAITING, Reply.UNKNOWN] == [
        service.restorer.newest(tenant=tenant, **ABOUT) for tenant in ("default", "other")
    ]
