"""What is kept: by age, and by what still needs it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.policy import ends
from app.policy.changing import JobNow, Left, Retry, step
from app.policy.ends import Failure, JobEnd, Value
from app.policy.keeping import Aged, Cutoffs, Fate, Held, fate, without_words
from app.policy.lifecycle import JobState
from app.settings import Settings
from unhurried.contract import OnFailure
from unhurried.errors import ContentPruned, JobFailed, failure
from unhurried.results import Result

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CUTOFFS = Cutoffs.at(NOW, content_days=30, records_days=400)
_MOMENTS = st.integers(0, 1000).map(lambda days: NOW - timedelta(days=days))
_THINGS = st.builds(
    Aged,
    ended_at=st.none() | _MOMENTS,
    told_at=st.none() | _MOMENTS,
    holds=st.frozensets(st.sampled_from(Held), max_size=3),
)


@given(_THINGS, st.sampled_from([Fate.CONTENT, Fate.RECORD]))
def test_nothing_goes_that_is_young_or_needed(one: Aged, wanted: Fate) -> None:
    """
    Whatever else is so: what goes has ended, was told of before the cutoff, and nothing holds it.
    """
    if fate(one, wanted, CUTOFFS) is not wanted:
        return
    content = wanted is Fate.CONTENT
    before = CUTOFFS.content_before if content else CUTOFFS.records_before
    assert one.ended_at is not None
    assert max(one.ended_at, one.told_at or one.ended_at) < before
    assert not one.holds - ({Held.RECORD_NEEDED} if content else set())


@given(_THINGS)
def test_what_is_old_and_free_does_go(one: Aged) -> None:
    """
    Retention is a promise: nothing stays without a reason, and a record never goes before its content.
    """
    free = Aged(ended_at=one.ended_at, told_at=one.told_at)
    content, record = fate(free, Fate.CONTENT, CUTOFFS), fate(free, Fate.RECORD, CUTOFFS)
    old = free.ended_at is not None and max(
        free.ended_at, free.told_at or free.ended_at
    ) < NOW - timedelta(days=30)
    assert old == (content is Fate.CONTENT)
    assert record is not Fate.RECORD or content is Fate.CONTENT


def test_a_ready_made_end_keeps_its_code_and_loses_its_words() -> None:
    """
    A receipt and a run's counts have no words of anybody's.
    """
    refused = json.dumps({"error": {"code": "x", "message": "canary", "retryable": True}}).encode()
    said = json.loads(without_words(refused, at=NOW))["error"]
    receipt = b'{"schema": 1, "notification_id": "7"}'

    assert ("x", True, "why in words was pruned on 2026-11-23") == (
        said["code"],
        said["retryable"],
        said["message"],
    )
    assert receipt == without_words(receipt, at=NOW)


def test_a_pruned_answer_is_an_error_of_its_own_and_never_an_empty_one() -> None:
    """
    As an exception, and as a value beside what is left: when, what it cost, whose it is.
    """
    raised = ends.of_job(_end(), OnFailure.RAISE)
    told = ends.of_job(_end(), OnFailure.RETURN)

    assert isinstance(raised, Failure)
    error = failure(raised.error)
    assert isinstance(error, ContentPruned)
    assert "pruned on 2026-11-23" in str(error)
    assert "another key" in str(error)
    assert isinstance(told, Value)
    result = Result.parse(told.wire)
    assert (False, "content_pruned", NOW, 7) == (
        result.ok,
        result.error and result.error.code,
        result.content_pruned_at,
        result.cost_nano_usd,
    )


def test_a_pruned_failure_keeps_its_code() -> None:
    """
    Why in words is gone, as it may quote.
    """
    end = ends.of_job(
        _end(state=JobState.FAILED, error_code="overloaded_error", error_retryable=True),
        OnFailure.RAISE,
    )

    assert isinstance(end, Failure)
    error = failure(end.error)
    assert (JobFailed, "overloaded_error", True) == (type(error), error.code, error.retryable)
    assert "in words was pruned" in str(error)


def test_what_was_pruned_cannot_be_retried() -> None:
    """
    There is nothing to ask any more.
    """
    job = JobNow(
        id=UUID(int=1), attempt=1, state=JobState.FAILED, tier="batch", due_at=None, is_pruned=True
    )

    assert Left.PRUNED is step(Retry(), job, now=NOW)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"keep_content_days": 8}, "UNHURRIED_KEEP_CONTENT_DAYS must be at least 9"),
        (
            {"result_lifetime_s": 40 * 86_400.0},
            "UNHURRIED_KEEP_CONTENT_DAYS must be at least 41",
        ),
        ({"keep_records_days": 29}, "UNHURRIED_KEEP_RECORDS_DAYS must be at least 30"),
    ],
)
def test_what_may_still_be_needed_cannot_be_pruned(values: dict[str, Any], said: str) -> None:
    """
    The setting is refused at start, by its name.
    """
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate(values)


def _end(**other: Any) -> JobEnd:
    fields: dict[str, Any] = {
        "job_id": UUID(int=1),
        "endpoint": "messages",
        "model": "m",
        "tier": "batch",
        "workload": None,
        "subject": None,
        "key": "k",
        "state": JobState.SUCCEEDED,
        "outcome": "answered",
        "output": None,
        "usage": b'{"input_tokens": 3}',
        "cost_nano_usd": 7,
        "result_id": UUID(int=2),
        "provider_request_id": None,
        "error_code": None,
        "error_message": None,
        "error_retryable": None,
        "as_of": NOW,
        "produced_at": NOW,
        "effective_until": None,
        "content_pruned_at": NOW,
    }
    return JobEnd(**(fields | other))
