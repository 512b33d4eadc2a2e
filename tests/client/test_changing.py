"""A caller changes its mind: what goes over the wire, and what comes back."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis
from celery import Celery

from tests.client.wire import finish, sent
from unhurried import CallError, JobCancelled, ServiceUnavailable, changing, messages
from unhurried.change_wire import CHANGE_TASK, Change, Changed
from unhurried.contract import CONTROL_QUEUE
from unhurried.readers import reply_key

pytestmark = pytest.mark.usefixtures("caller")

SAY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": []}


def asked(client: redis.Redis) -> Change:
    """The one command that was sent."""
    lying: Any = client.lrange(CONTROL_QUEUE, 0, -1)
    (raw,) = lying
    message = json.loads(raw)
    assert CHANGE_TASK == message["headers"]["task"]
    _, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    return Change.model_validate(kwargs)


def test_a_cancel_says_who_and_why_and_hears_what_came_of_it(redis_client: redis.Redis) -> None:
    """
    The reply is found under the request's own id.
    """
    request_id = uuid4()
    reply = Changed(did={"cancelled": 1}, batches_to_end=1)
    redis_client.set(reply_key(str(request_id)), reply.model_dump_json())
    changed = messages.job("a").cancel(why="the page is gone", request_id=request_id)

    assert (reply, 1) == (changed, changed.touched)
    command = asked(redis_client)
    assert ("cancel", "task", "a") == (command.what, command.of, command.id)
    assert ("the page is gone", request_id) == (command.why, command.request_id)
    assert command.who.startswith("caller tests.client.test_changing:")


@pytest.mark.parametrize("due", ["8h", timedelta(hours=8), datetime.now(UTC) + timedelta(hours=8)])
def test_a_due_time_is_a_moment_on_the_wire(redis_client: redis.Redis, due: Any) -> None:
    """
    However it was said.
    """
    request_id = uuid4()
    redis_client.set(reply_key(str(request_id)), Changed().model_dump_json())
    messages.run("r").due(due, why="later will do", request_id=request_id)

    command = asked(redis_client)
    assert ("due", "run", "r") == (command.what, command.of, command.id)
    assert command.due_at is not None
    assert timedelta(hours=7) < command.due_at - datetime.now(UTC) <= timedelta(hours=8)


def test_what_can_be_done_to_no_job_is_a_value_error(redis_client: redis.Redis) -> None:
    """
    In the service's words.
    """
    request_id = uuid4()
    refused = Changed(refused="jobs are expedited to near-real-time, not sync")
    redis_client.set(reply_key(str(request_id)), refused.model_dump_json())

    with pytest.raises(ValueError, match="not sync"):
        messages.job("a").expedite("sync", why="now", request_id=request_id)


def test_nobody_answers(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The caller hears it, and may ask again with the same request.
    """
    monkeypatch.setattr(changing, "_WITHIN_S", 0.1)
    with pytest.raises(ServiceUnavailable, match="did not answer"):
        messages.job("a").cancel(why="the page is gone")
    assert asked(redis_client).id == "a"


def test_a_change_needs_a_reason_and_a_job_that_waits(redis_client: redis.Redis) -> None:
    """
    Nothing is sent without one, nor about a sync call.
    """
    with pytest.raises(CallError, match="needs a reason"):
        messages.job("a").cancel(why="")
    with pytest.raises(CallError, match="answered at once"):
        messages.delay(**SAY, tier="sync").cancel(why="too slow")
    assert 0 == redis_client.llen(CONTROL_QUEUE)


def test_a_cancelled_job_is_cancelled_in_every_word(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """
    To Celery it has failed; `state` says what happened.
    """
    job = messages.delay(**SAY, tier="batch")
    (message,) = sent(redis_client, "unhurried.batch")
    finish(caller, message, JobCancelled("cancelled", "cancelled: the page is gone"))

    assert ("cancelled", True) == (job.state, job.ready())
    with pytest.raises(JobCancelled, match="the page is gone"):
        job.result()
