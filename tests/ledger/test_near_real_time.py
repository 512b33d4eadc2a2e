"""Near-real-time jobs in the ledger: one worker each, and never forgotten when it dies."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.ledger import admission, near_real_time
from app.ledger import engine as ledger
from app.policy.judging import Judged
from app.policy.lifecycle import Succeed
from tests.support.factories import an_admission, an_answer

SOON = {"tier": "near-real-time"}


def claim(engine: Engine) -> near_real_time.Claimed | None:
    """Claim one job, in a transaction of its own."""
    with engine.begin() as connection:
        now = ledger.now(connection)
        found = near_real_time.claim(connection, provider="anthropic", account="default", at=now)
    assert not isinstance(found, near_real_time.OverLimit)
    return found


def ends(engine: Engine) -> dict[str, tuple[str, str | None]]:
    """State and error code by task id."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT task_id, job.state, error_code FROM ticket JOIN job ON job.id = ticket.job_id
            """)
        )
        return {row.task_id: (row.state, row.error_code) for row in rows}


def test_a_job_is_claimed_once(engine: Engine) -> None:
    """
    Two workers get two jobs; a third finds none.
    """
    with engine.begin() as connection:
        arrived = [an_admission("a", **SOON), an_admission("b", **SOON)]
        admission.admit(connection, arrived, at=ledger.now(connection))

    first, second, third = claim(engine), claim(engine), claim(engine)

    assert first is not None
    assert second is not None
    assert first.standing.job_id != second.standing.job_id
    assert third is None


def test_a_dead_workers_job_follows_its_callers_wish(engine: Engine) -> None:
    """
    `raise` fails it with the retryable `answer_lost`; `retry` lets it wait again, marked.
    """
    with engine.begin() as connection:
        arrived = [an_admission("raise", **SOON), an_admission("retry", on_lost="retry", **SOON)]
        admission.admit(connection, arrived, at=ledger.now(connection))
    claim(engine)
    claim(engine)

    with engine.begin() as connection:
        now = ledger.now(connection)
        early = near_real_time.give_up_lost(connection, opened_before=now - timedelta(1), at=now)
        lost = near_real_time.give_up_lost(connection, opened_before=now, at=now)
        again = near_real_time.give_up_lost(connection, opened_before=now, at=now)

    assert (0, 2, 0) == (early, lost, again)
    assert {
        "raise": ("failed", "answer_lost"),
        "retry": ("waiting", "possible_spend"),
    } == ends(engine)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_job_that_its_workers_die_of_comes_to_an_end(engine: Engine, most: int) -> None:
    """
    With `on_lost=retry` it is claimed `attempts` times, each counted before its call, and then fails.
    """
    options: dict[str, Any] = {"on_lost": "retry", "attempts": most, **SOON}
    with engine.begin() as connection:
        arrived = [an_admission("deadly", **options)]
        admission.admit(connection, arrived, at=ledger.now(connection))

    claims = 0
    while claims <= most and claim(engine) is not None:
        claims += 1
        with engine.begin() as connection:
            now = ledger.now(connection)
            near_real_time.give_up_lost(connection, opened_before=now, at=now)

    assert most == claims
    assert {"deadly": ("failed", "answer_lost")} == ends(engine)


def test_an_answer_that_comes_after_its_job_was_given_up_is_booked_and_not_delivered(
    engine: Engine,
) -> None:
    """
    The end that callers have seen stays; the money is not forgotten.
    """
    with engine.begin() as connection:
        admission.admit(connection, [an_admission("a", **SOON)], at=ledger.now(connection))
    claimed = claim(engine)
    assert claimed is not None
    with engine.begin() as connection:
        now = ledger.now(connection)
        near_real_time.give_up_lost(connection, opened_before=now, at=now)
        late = Succeed(
            job_id=claimed.standing.job_id,
            attempt=claimed.standing.attempt,
            answer=an_answer(),
            cost_nano_usd=7,
            sync_cost_nano_usd=7,
        )

        settled = near_real_time.settle(connection, Judged(late, None), at=now)

    assert not settled
    assert {"a": ("failed", "answer_lost")} == ends(engine)
