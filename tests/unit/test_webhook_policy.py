"""What a webhook says, and to whom one may be asked for."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy import webhooks
from tests.support.factories import uuid

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RESULT = {
    "schema": 1,
    "job_id": "job-1",
    "key": "notes:17",
    "tier": "batch",
    "workload": "notes",
    "subject": "user:17",
    "output": "the secret answer",
    "as_of": "2026-11-23T10:00:00+00:00",
    "produced_at": "2026-11-23T11:00:00+00:00",
    "effective_until": "2026-11-24T10:00:00+00:00",
}
ERROR = {"code": "overloaded", "message": "the secret reason", "retryable": True}
FAILED = {**RESULT, "error": ERROR}
RUN = {"schema": 1, "run": "run-1", "jobs": 5, "failed": 2}


def drafted(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """The payload of a webhook to the one receiver there is."""
    wanted = {"receiver": "crm", **kwargs}
    return webhooks.draft(args, wanted, task_id="own", parent_id="parent", receivers={"crm"})


def event(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """What its receiver reads."""
    found: dict[str, Any] = json.loads(webhooks.body(drafted(*args, **kwargs), occurred_at=NOW))
    return found


def test_a_job_that_is_done_is_told_of_by_names_and_times() -> None:
    """Enough to find it again, and nothing of what it says."""
    assert event(RESULT) == {
        "type": "job.completed",
        "timestamp": "2026-11-23T12:00:00Z",
        "data": {
            "job_id": "job-1",
            "task_id": "parent",
            "key": "notes:17",
            "tier": "batch",
            "workload": "notes",
            "subject": "user:17",
            "state": "succeeded",
            "as_of": "2026-11-23T10:00:00+00:00",
            "produced_at": "2026-11-23T11:00:00+00:00",
            "effective_until": "2026-11-24T10:00:00+00:00",
            "error": None,
        },
    }


@pytest.mark.parametrize(
    ("code", "event_type", "state"),
    [
        ("overloaded", "job.failed", "failed"),
        ("expired", "job.expired", "expired"),
        ("cancelled", "job.cancelled", "cancelled"),
    ],
)
def test_each_end_of_a_job_has_its_type(code: str, event_type: str, state: str) -> None:
    """With the error's code and whether to repeat, never its words."""
    found = event({**RESULT, "error": {**ERROR, "code": code}})
    assert (found["type"], found["data"]["state"]) == (event_type, state)
    assert found["data"]["error"] == {"code": code, "retryable": True}
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("upstream", "counts", "state"),
    [
        ([RESULT, RESULT], (2, 2, 0), "succeeded"),
        ([RESULT, FAILED, RESULT], (3, 2, 1), "partly"),
        ([FAILED], (1, 0, 1), "failed"),
        ({"jobs": 79, "failed": 3}, (79, 76, 3), "partly"),
        ({"jobs": 0, "failed": 0}, (0, 0, 0), "succeeded"),
        ([], (1, 1, 0), "succeeded"),
        ([{"jobs": 79, "failed": 3}, {"jobs": 10, "failed": 0}], (89, 86, 3), "partly"),
        ([RESULT, RUN, "own"], (7, 5, 2), "partly"),
        ([[RESULT, FAILED], [FAILED]], (3, 1, 2), "partly"),
        ([[1, 2, 3], RESULT], (2, 2, 0), "succeeded"),
    ],
)
def test_several_jobs_are_told_of_by_counts(
    upstream: Any, counts: tuple[int, int, int], state: str
) -> None:
    """A chord's parts, or the counts that a caller's own task returned; also of parts that are such themselves."""
    found = event(upstream)
    data = found["data"]
    assert found["type"] == "group.completed"
    assert (data["jobs"], data["succeeded"], data["failed"]) == counts
    assert (data["state"], data["task_id"], data["workload"]) == (state, "own", None)
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize("upstream", [[], [None], [7], ["x"], [{"schema": 2, "output": "secret"}]])
def test_what_is_not_ours_is_a_task_that_ended(upstream: list[Any]) -> None:
    """A caller's own value says nothing, and is not passed on."""
    found = event(*upstream)
    assert (found["type"], found["data"]["task_id"]) == ("job.completed", "own")
    assert "secret" not in json.dumps(found)


def test_an_errback_tells_which_task_failed() -> None:
    """All that Celery hands over is its id."""
    found = event("task-17", variant="failed")
    assert (found["type"], found["data"]["task_id"]) == ("job.failed", "task-17")
    assert found["data"]["error"] == {"code": None, "retryable": False}


def test_a_receiver_that_is_not_set_up_is_refused_by_name() -> None:
    """The caller learns which there are, not where they are."""
    with pytest.raises(webhooks.UnknownReceiver, match=r"no webhook receiver 'cmr'.*: crm$"):
        drafted(receiver="cmr")
    with pytest.raises(webhooks.UnknownReceiver, match="set up are: none"):
        webhooks.require_known("crm", ())


@pytest.mark.parametrize("bad", [{"receiver": None}, {"receiver": ["crm"]}, {"variant": "ready"}])
def test_a_webhook_that_cannot_be_meant_is_refused(bad: dict[str, Any]) -> None:
    """Guessing would tell somebody something else."""
    with pytest.raises(ValueError, match=r"receiver|variant"):
        drafted(RESULT, **bad)


def test_an_answer_goes_along_where_it_fits() -> None:
    """Asked for by the receiver's settings; one that is too long is fetched instead."""
    payload = drafted(RESULT)
    whole = webhooks.body(payload, occurred_at=NOW, output="x" * 15_000)
    assert json.loads(whole)["data"]["output"] == "x" * 15_000
    thin = webhooks.body(payload, occurred_at=NOW, output="x" * 20_000)
    assert thin == webhooks.body(payload, occurred_at=NOW)


@given(text=st.text(max_size=5000), upstream=st.sampled_from(["workload", "subject", "key"]))
def test_no_name_makes_a_body_long(text: str, upstream: str) -> None:
    """Under 20 kB, whatever a caller names things; the same bytes however often it is made."""
    payload = drafted({**RESULT, upstream: text})
    body = webhooks.body(payload, occurred_at=NOW)
    assert len(body) < 20_000
    assert body == webhooks.body(json.loads(json.dumps(payload)), occurred_at=NOW)


def test_an_event_is_known_by_the_notifications_id() -> None:
    """No dot in it: id, time and body are signed with dots between them."""
    assert webhooks.event_id(uuid(7)) == "evt_" + "7".rjust(32, "0")
