"""A job in the hand: its state, its result, its reader's freshness, its errors."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from celery import Celery
from celery.exceptions import TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import denied_join_result

from tests.client.wire import finish, sent
from tests.support.waiting import wait_until
from unhurried import (
    AnswerLost,
    CallError,
    JobCancelled,
    JobFailed,
    NotReady,
    RequestRejected,
    ServiceUnavailable,
    StaleResult,
    UnknownJob,
    messages,
)
from unhurried.contract import output_key
from unhurried.errors import failure
from unhurried.jobs import Job
from unhurried.readers import reply_key

SAY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": []}


def answered(**more: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"schema": 1, "output": "forty-two", "as_of": now, "produced_at": now, **more}


def publish(client: redis.Redis, tier: str = "batch") -> tuple[Job, Any]:
    job = messages.delay(**SAY, tier=tier)
    (message,) = sent(client, f"unhurried.{tier}")
    return job, message


def test_an_answered_job_is_read_by_its_id(caller: Celery, redis_client: redis.Redis) -> None:
    """Published, then succeeded: the result is there for whoever knows the id."""
    job, message = publish(redis_client)
    assert (job.state, job.ready(), job.successful()) == ("published", False, False)
    with pytest.raises(NotReady, match="is published"):
        messages.result(job.id)
    finish(caller, message, answered(cost_nano_usd=1_500_000))
    later = messages.job(job.id)
    assert (later.state, later.ready(), later.successful()) == ("succeeded", True, True)
    assert messages.result(job.id).output == "forty-two"
    assert str(later.get(timeout=1).cost_usd) == "0.0015"


def test_an_admitted_job_waits(caller: Celery, redis_client: redis.Redis) -> None:
    """The service's own Celery state reads as waiting."""
    job, _ = publish(redis_client)
    backend: Any = caller.backend
    meta = backend.encode({"status": "ADMITTED", "result": None, "task_id": job.id})
    redis_client.set(backend.get_key_for_task(job.id), meta)
    assert job.state == "waiting"
    with pytest.raises(NotReady, match="is waiting"):
        job.result()


@pytest.mark.usefixtures("caller")
def test_an_id_that_nobody_published_is_unknown(redis_client: redis.Redis) -> None:
    """It is no job that is still waiting, whatever Celery calls it: the service says so."""
    redis_client.set(reply_key("nobody"), "unknown")
    for look in (messages.result, lambda job_id: messages.read(job_id, max_staleness="6h")):
        with pytest.raises(UnknownJob, match="'nobody'"):
            look("nobody")
    with pytest.raises(UnknownJob):
        _ = messages.job("nobody").tier


@pytest.mark.usefixtures("caller")
def test_a_service_that_does_not_reply_leaves_a_job_in_doubt(redis_client: redis.Redis) -> None:
    """Redis alone cannot tell a lost job from one that never was: the question can be asked again."""
    with pytest.raises(ServiceUnavailable, match="'doubtful'"):
        messages.result("doubtful")
    (command,) = sent(redis_client, "unhurried.control")
    assert {"task_id": "doubtful"} == command.kwargs


def test_a_reader_says_how_old_a_result_may_be(caller: Celery, redis_client: redis.Redis) -> None:
    """Age counts from as_of; what is no longer effective is stale for everybody."""
    job, message = publish(redis_client)
    as_of = datetime.now(UTC) - timedelta(hours=5)
    finish(caller, message, answered(as_of=as_of.isoformat()))
    assert messages.read(job.id, max_staleness="6h").output == "forty-two"
    with pytest.raises(StaleResult, match=r"18000 s old .* at most 14400 s"):
        messages.read(job.id, max_staleness=timedelta(hours=4))
    with pytest.raises(TypeError, match="max_staleness= or consumer="):
        messages.read(job.id)
    with pytest.raises(CallError, match="no consumer 'undeclared'"):
        messages.read(job.id, consumer="undeclared")


def test_a_result_past_its_effective_time_is_stale(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """The publisher's effective_for binds every reader, however patient."""
    job, message = publish(redis_client)
    past = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    begun = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    finish(caller, message, answered(as_of=begun, effective_until=past))
    with pytest.raises(StaleResult):
        messages.read(job.id, max_staleness="2d")


def test_a_failed_job_raises_its_own_error(caller: Celery, redis_client: redis.Redis) -> None:
    """Class, code and request id survive Celery's JSON; reading and waiting raise the same."""
    job, message = publish(redis_client)
    error = failure({"code": "invalid_request", "message": "no model", "request_id": "req_1"})
    finish(caller, message, error)
    assert (job.state, job.failed()) == ("failed", True)
    for look in (job.result, lambda: job.get(timeout=1)):
        with pytest.raises(RequestRejected, match="no model") as raised:
            look()
        assert (raised.value.code, raised.value.request_id) == ("invalid_request", "req_1")
        assert isinstance(raised.value, JobFailed)


def test_a_revoked_job_is_cancelled(caller: Celery, redis_client: redis.Redis) -> None:
    """Celery's REVOKED is our JobCancelled, with the id."""
    job, message = publish(redis_client)
    finish(caller, message, TaskRevokedError("revoked"))
    assert job.state == "cancelled"
    with pytest.raises(JobCancelled) as raised:
        job.result()
    assert raised.value.job_id == job.id


def test_an_error_value_is_a_result_that_is_not_ok(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """With on_failure="return" the task succeeds; only asking for the output raises."""
    job, message = publish(redis_client)
    finish(caller, message, {"schema": 1, "error": {"code": "answer_lost", "message": "cut"}})
    result = job.result()
    assert not result.ok
    with pytest.raises(AnswerLost):
        _ = result.output


def test_a_long_output_is_fetched_where_it_lies(caller: Celery, redis_client: redis.Redis) -> None:
    """A result that travels by reference reads like any other."""
    job, message = publish(redis_client)
    redis_client.set(output_key("result-1"), "long ä")
    finish(caller, message, answered(output=None, output_ref="result-1"))
    assert job.result().output == "long ä"
    redis_client.delete(output_key("result-1"))
    redis_client.set(reply_key(job.id), "unknown")
    with pytest.raises(UnknownJob):
        _ = job.result().output


@pytest.mark.usefixtures("caller")
def test_nobody_waits_for_a_batch_without_a_bound(redis_client: redis.Redis) -> None:
    """get() without timeout is a TypeError that names the alternatives; so after a lookup by id."""
    job, _ = publish(redis_client)
    for one in (job, messages.job(job.id)):
        with pytest.raises(TypeError, match=r"batch job .*timeout.*notify=.*chord.*read"):
            one.get()


@pytest.mark.usefixtures("caller")
def test_a_wait_that_ends_names_the_job(redis_client: redis.Redis) -> None:
    """Celery's own TimeoutError, with the id to read it by later, and the job goes on."""
    with pytest.raises(CeleryTimeoutError, match=r"is published after 0\.1 s") as raised:
        messages.call(**SAY, tier="sync", timeout=0.1)
    (message,) = sent(redis_client, "unhurried.sync")
    assert message.id in str(raised.value)


def test_a_call_returns_what_is_answered_while_it_waits(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """call() publishes on the direct tier and returns the result as soon as it is stored."""

    def answer() -> None:
        found = wait_until(
            lambda: sent(redis_client, "unhurried.sync"), within_s=10, what="the call's message"
        )
        finish(caller, found[0], answered())

    service = threading.Thread(target=answer)
    service.start()
    try:
        # Celery forbids waiting inside a task; a call is allowed, and leaves the ban as it was.
        with denied_join_result():
            assert messages.call(**SAY, tier="sync", timeout=10).output == "forty-two"
            with pytest.raises(RuntimeError, match=r"Never call result.get"):
                messages.job("any").celery.get(timeout=0.1)
    finally:
        service.join()
