"""A job that no day's limit pays for any more, since it was expedited or the limit lowered: it alone waits."""

import pytest
from sqlalchemy import Engine, text

from app.ledger import admission, near_real_time, packs
from app.ledger import engine as ledger
from tests.support.factories import a_pack, an_admission

LIMIT = 1_000_000


def admit(engine: Engine, tier: str) -> None:
    """A job beyond a day's limit, and cheap ones before and behind it."""
    for task_id in ("before", "dear", "behind"):
        with engine.begin() as connection:
            arrived = [an_admission(task_id, tier=tier, prompt=task_id)]
            admission.admit(connection, arrived, at=ledger.now(connection))
    with engine.begin() as connection:
        connection.execute(text("UPDATE job SET ceiling_nano_usd = 1000"))
        connection.execute(
            text("""
                UPDATE job SET ceiling_nano_usd = 3 * :limit
                WHERE id = (SELECT job_id FROM ticket WHERE task_id = 'dear')
            """),
            {"limit": LIMIT},
        )


def waiting(engine: Engine) -> list[str]:
    """The tasks whose jobs wait."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT task_id FROM ticket JOIN job ON job.id = ticket.job_id
                WHERE job.state = 'waiting'
            """)
        )
        return list(rows.scalars())


def test_near_real_time_jobs_go_past_it(engine: Engine) -> None:
    """
    Once nothing else waits it is held, which is told.
    """
    admit(engine, "near-real-time")
    claimed = []
    for _ in range(3):
        with engine.begin() as connection:
            one = near_real_time.claim(
                connection,
                provider="anthropic",
                account="default",
                at=ledger.now(connection),
                limit_nano_usd=LIMIT,
            )
        claimed.append(type(one))

    assert [near_real_time.Claimed, near_real_time.Claimed, near_real_time.OverLimit] == claimed
    assert ["dear"] == waiting(engine)


@pytest.mark.parametrize("limit", [LIMIT, None])
def test_a_pack_goes_without_it(engine: Engine, limit: int | None) -> None:
    """
    And with it where there is no limit.
    """
    admit(engine, "batch")
    with engine.begin() as connection:
        now = ledger.now(connection)
        (plan,) = a_pack(packs.candidates(connection, at=now), now=now)
        packs.make(connection, plan, at=now, limit_nano_usd=limit)

    assert (["dear"] if limit else []) == waiting(engine)
