"""Sharing a job without a key: what a workload's contract allows, and what it never does."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.policy.sharing import ALONE, Sharing, may_join, may_reuse, sharing
from unhurried.workloads import Workload

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BOTH = Workload.model_validate({"reuse": "6h", "single_flight": True})


def shared(contract: Workload | None = BOTH, **said: Any) -> Sharing:
    """What a call may share."""
    known: dict[str, Any] = {"asked": ["notes", b"1"], "answered_how": ["batch"], "keyed": False}
    return sharing(contract, **(known | said))


@pytest.mark.parametrize("contract", [None, Workload(), Workload(attempts=2)])
def test_nothing_is_shared_by_default(contract: Workload | None) -> None:
    """
    A workload that does not opt in shares nothing, and one that nobody declared neither.
    """
    assert ALONE == shared(contract)


def test_each_opts_in_for_itself() -> None:
    """
    Reuse without single flight joins nothing; single flight without reuse uses no answer again.
    """
    reusing = shared(Workload.model_validate({"reuse": "6h"}))
    flying = shared(Workload(single_flight=True))

    assert (6 * HOUR, None) == (reusing.reuse_within, reusing.flight)
    assert flying.reuse_within is None
    assert flying.flight is not None


def test_only_what_is_asked_alike_is_alike() -> None:
    """
    Another request is no likeness; another tier is one, and another flight.
    """
    one = shared()

    assert one == shared()
    assert one.likeness != shared(asked=["notes", b"2"]).likeness
    later = shared(answered_how=["near-real-time"])
    assert one.likeness == later.likeness
    assert one.flight != later.flight


def test_a_key_names_its_job() -> None:
    """
    A keyed call joins nothing and reuses nothing; its answer may be reused by others.
    """
    keyed = shared(keyed=True)

    assert (None, None) == (keyed.reuse_within, keyed.flight)
    assert keyed.likeness == shared().likeness


@pytest.mark.parametrize(
    ("age", "effective_for_s", "effective_until", "may"),
    [
        (6 * HOUR, None, None, True),
        (6 * HOUR + timedelta(seconds=1), None, None, False),
        (HOUR, None, NOW - HOUR, False),
        (HOUR, None, NOW + HOUR, True),
        (2 * HOUR, 3600.0, None, False),
        (2 * HOUR, 7200.0, None, True),
    ],
)
def test_an_answer_is_reused_while_it_is_fresh(
    *, age: timedelta, effective_for_s: float | None, effective_until: datetime | None, may: bool
) -> None:
    """
    Within the span, counted from as_of; not past its own effective time, nor past the new call's.
    """
    assert may is may_reuse(
        shared(),
        effective_for_s=effective_for_s,
        as_of=NOW - age,
        effective_until=effective_until,
        now=NOW,
    )


@pytest.mark.parametrize(
    ("wanted", "due", "cancel_requested", "may"),
    [
        (None, None, False, True),
        (NOW, None, False, True),
        (NOW, NOW, False, True),
        (NOW + HOUR, NOW, False, False),
        (None, NOW, False, False),
        (None, None, True, False),
    ],
)
def test_a_job_is_joined_that_is_tried_for_long_enough(
    *, wanted: datetime | None, due: datetime | None, cancel_requested: bool, may: bool
) -> None:
    """
    Not one that expires before the call that would join it, and none that is being cancelled.
    """
    assert may is may_join(wanted_due_at=wanted, due_at=due, cancel_requested=cancel_requested)
