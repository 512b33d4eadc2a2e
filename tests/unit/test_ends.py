"""What a caller gets when a job has ended: by its failure policy, with what was paid for beside it."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.policy.ends import Failure, JobEnd, Value, of_job, ready_made
from unhurried import JobFailed, Result, Results
from unhurried.contract import OnFailure

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AS_VALUES = [OnFailure.RETURN, OnFailure.DROP]


def an_end(**other: Any) -> JobEnd:
    """A job whose answer was cut."""
    fields: dict[str, Any] = {
        "job_id": UUID(int=1),
        "endpoint": "messages",
        "model": "claude-haiku-4-5",
        "tier": "batch",
        "workload": None,
        "subject": None,
        "key": "k",
        "state": "failed",
        "outcome": "truncated",
        "output": b"Half of",
        "usage": json.dumps({"input_tokens": 3, "output_tokens": 2}).encode(),
        "cost_nano_usd": 7,
        "result_id": UUID(int=2),
        "provider_request_id": "req_1",
        "error_code": "truncated",
        "error_message": "cut",
        "error_retryable": False,
        "as_of": NOW,
        "produced_at": NOW,
        "effective_until": None,
    }
    return JobEnd(**{**fields, **other})


@pytest.mark.parametrize("policy", [OnFailure.RAISE, OnFailure.RETRY])
def test_a_failure_is_raised(policy: OnFailure) -> None:
    """
    `retry` raises as `raise` does, once nothing is left to try.
    """
    end = of_job(an_end(), policy)

    assert isinstance(end, Failure)
    assert ("truncated", str(UUID(int=1))) == (end.error["code"], end.error["job_id"])


@pytest.mark.parametrize("policy", AS_VALUES)
def test_a_value_has_the_error_and_what_was_paid_for(policy: OnFailure) -> None:
    """
    The answer is no output, and still there to look at.
    """
    end = of_job(an_end(), policy)
    assert isinstance(end, Value)
    result = Result.parse(end.wire)

    assert (False, "truncated", "Half of", 7) == (
        result.ok,
        result.outcome,
        result.partial,
        result.cost_nano_usd,
    )
    assert (policy is OnFailure.DROP) == result.dropped
    with pytest.raises(JobFailed, match="truncated: cut"):
        _ = result.output


@pytest.mark.parametrize("policy", AS_VALUES)
def test_a_job_without_an_answer_is_an_error_alone(policy: OnFailure) -> None:
    """
    Nothing was billed, and nothing is said of outcome or cost.
    """
    end = of_job(an_end(output=None, outcome="rejected", usage=None, cost_nano_usd=None), policy)
    assert isinstance(end, Value)
    result = Result.parse(end.wire)

    assert (None, None, None) == (result.outcome, result.partial, result.cost_nano_usd)


@pytest.mark.parametrize("policy", list(OnFailure))
def test_a_refused_call_follows_its_policy(policy: OnFailure) -> None:
    """
    What never became a job is a failure like any other.
    """
    end = ready_made(b'{"error": {"code": "invalid_request", "message": "no"}}', policy)

    assert (policy in AS_VALUES) == isinstance(end, Value)
    assert (policy is OnFailure.DROP) == (isinstance(end, Value) and end.wire.get("dropped", False))


def test_what_is_dropped_is_no_failure_among_many() -> None:
    """
    Whoever goes through results by `ok` and `failed` never meets it.
    """
    ends = [of_job(an_end(), policy) for policy in AS_VALUES]
    results = Results.parse([end.wire for end in ends if isinstance(end, Value)])

    assert (0, 1, 1) == (len(results.ok), len(results.failed), len(results.dropped))


def test_a_long_partial_answer_travels_by_reference() -> None:
    """
    A chord of values stays small whatever its parts said.
    """
    end = of_job(an_end(output=b"x" * 300_000), OnFailure.RETURN)

    assert isinstance(end, Value)
    assert (str(UUID(int=2)), 300_000) == (end.wire["output_ref"], len(end.long_output or b""))
    assert "output" not in end.wire
