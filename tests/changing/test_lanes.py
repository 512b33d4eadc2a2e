"""Lanes that a person pauses, resumes, flushes; rounds that come now."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection

from app.changing.decisions import Outcome
from app.ledger import engine as ledger
from app.ledger import lanes, near_real_time, packs, submissions
from app.ledger.lanes import LaneName
from app.policy.lifecycle import SubmissionState
from app.policy.packing import Limits, Patience, Reason, plan
from tests.changing.conftest import Desk
from tests.support.answering import admit
from tests.support.factories import LIMITS, an_admission

ACCOUNT = LaneName("anthropic", "default")
MODEL = LaneName("anthropic", "default", "claude-haiku-4-5")
OTHER = LaneName("anthropic", "default", "claude-opus-4-8")
REST = timedelta(hours=2)
SOON = {"tier": "near-real-time"}


def pause(desk: Desk, lane: LaneName) -> Outcome:
    """A person pauses a lane."""
    return desk.lanes.pause(desk.decision(f"lane:{lane}", "pause"), lane)


def resume(desk: Desk, lane: LaneName) -> Outcome:
    """A person resumes it."""
    return desk.lanes.resume(desk.decision(f"lane:{lane}", "resume"), lane)


def claimed(connection: Connection) -> bool:
    """Whether a near-real-time job may go."""
    now = ledger.now(connection)
    seen = bool(near_real_time.waiting(connection, at=now))
    taken = near_real_time.claim(connection, provider="anthropic", account="default", at=now)
    assert seen == (taken is not None)
    return seen


def resumes_itself(desk: Desk) -> bool:
    """Whether a look that succeeds resumes the account, as the collector's does."""
    with desk.engine.begin() as connection:
        later = ledger.now(connection) + timedelta(hours=1)
        return lanes.resume(connection, provider="anthropic", account="default", at=later)


@pytest.mark.parametrize(("lane", "goes"), [(ACCOUNT, False), (MODEL, False), (OTHER, True)])
def test_a_pause_holds_every_tier_of_its_lane_and_no_other(
    desk: Desk, lane: LaneName, *, goes: bool
) -> None:
    """
    A whole account or one model of it, batch and near-real-time alike.
    """
    admit(desk.engine, [an_admission("batch"), an_admission("soon", **SOON)])
    pause(desk, lane)

    with desk.engine.begin() as connection:
        waiting = packs.candidates(connection, at=ledger.now(connection))
        assert (goes, goes) == (bool(waiting), claimed(connection))


def test_a_paused_model_lets_the_others_of_its_account_go(desk: Desk) -> None:
    """
    A worker claims the oldest job that may go, not the oldest.
    """
    admit(desk.engine, [an_admission("paused", **SOON)])
    pause(desk, MODEL)
    with desk.engine.begin() as connection:
        assert not claimed(connection)
    desk.rows("UPDATE job SET model = 'claude-opus-4-8' RETURNING 1")
    admit(desk.engine, [an_admission("held", prompt="another", **SOON)])

    with desk.engine.begin() as connection:
        assert claimed(connection)
        assert not claimed(connection)


def test_what_a_person_paused_is_never_resumed_by_ourselves(desk: Desk) -> None:
    """
    Neither a fresh pause nor one that took the place of our own.
    """
    pause(desk, ACCOUNT)
    assert not resumes_itself(desk)
    resume(desk, ACCOUNT)
    with desk.engine.begin() as connection:
        now = ledger.now(connection)
        lanes.pause(connection, provider="anthropic", account="default", reason="401", at=now)
    pause(desk, ACCOUNT)
    assert not resumes_itself(desk)
    assert [("a test", "ops")] == desk.rows("SELECT pause_reason, paused_by FROM lane")


def test_a_person_resumes_what_we_paused(desk: Desk) -> None:
    """
    Whoever paused it; nothing is left of the pause.
    """
    with desk.engine.begin() as connection:
        now = ledger.now(connection)
        lanes.pause(connection, provider="anthropic", account="default", reason="401", at=now)
        lanes.rest(connection, provider="anthropic", account="default", until=now + REST)

    assert {"resumed": 1} == resume(desk, ACCOUNT)["did"]
    assert {"it is not paused": 1} == resume(desk, ACCOUNT)["left"]
    assert [(None, None, None, None)] == desk.rows(
        "SELECT paused_at, pause_reason, paused_by, not_before FROM lane"
    )


def test_a_lane_that_is_to_rest_is_not_resumed_before(desk: Desk) -> None:
    """
    The longest rest counts, and where nothing is paused there is nothing to rest from.
    """
    with desk.engine.begin() as connection:
        now = ledger.now(connection)
        rest = partial(lanes.rest, connection, provider="anthropic", account="default")
        resume = partial(lanes.resume, connection, provider="anthropic", account="default")
        rest(until=now + 2 * REST)
        lanes.pause(connection, provider="anthropic", account="default", reason="no money", at=now)
        rest(until=now + REST)
        rest(until=now)
        early, late = resume(at=now + REST / 2), resume(at=now + REST)

    assert (False, True) == (early, late)


def test_a_second_pause_keeps_the_first_ones_reason(desk: Desk) -> None:
    """
    Each is on the record; the lane says who held it up first.
    """
    pause(desk, ACCOUNT)

    assert {"a person has paused it already": 1} == pause(desk, ACCOUNT)["left"]
    assert [("pause", 2)] == desk.rows("SELECT what, count(*) FROM action GROUP BY what")


def test_flushed_jobs_go_without_company(desk: Desk) -> None:
    """
    Those that wait now; one that comes later lingers as ever.
    """
    admit(desk.engine, [an_admission("a")])

    def reasons() -> list[Reason]:
        limits: dict[str, Limits] = {"anthropic": LIMITS}
        patience = Patience(linger=timedelta(days=365), due_margin=timedelta(0))
        with desk.engine.connect() as connection:
            now = ledger.now(connection)
            waiting = packs.candidates(connection, at=now)
            return [
                one.reason for one in plan(waiting, limits=limits, now=now, patience=patience).packs
            ]

    assert [] == reasons()
    elsewhere = desk.lanes.flush(desk.decision("x", "flush"), {"account": "another"})
    assert ({"flushed": 0}, []) == (elsewhere["did"], reasons())
    here = desk.lanes.flush(desk.decision("y", "flush"), {"provider": "anthropic"})
    assert ({"flushed": 1}, [Reason.FLUSHED]) == (here["did"], reasons())
    desk.send()
    admit(desk.engine, [an_admission("b")])
    desk.rows("UPDATE job SET ready_at = clock_timestamp() WHERE state = 'waiting' RETURNING 1")
    assert [] == reasons()


def test_a_batch_is_looked_at_now(desk: Desk) -> None:
    """
    One of them, or all.
    """
    admit(desk.engine, [an_admission("a")])
    (batch,) = desk.send(SubmissionState.SENDING, SubmissionState.ACCEPTED)
    desk.rows("UPDATE submission SET poll_at = now() + interval '1 hour' RETURNING 1")

    def due() -> int:
        with desk.engine.connect() as connection:
            return len(submissions.to_poll(connection, at=ledger.now(connection)))

    assert 0 == due()
    assert {"looked_at": 1} == desk.lanes.poll(desk.decision("z", "poll"), batch)["did"]
    assert 1 == due()
    assert {"looked_at": 1} == desk.lanes.poll(desk.decision("w", "poll"), None)["did"]
