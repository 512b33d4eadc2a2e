"""Jobs whose due time passed while nobody was there to end them: none is bought."""

from datetime import timedelta

from sqlalchemy import Engine, text

from app.ledger import admission, expiring, near_real_time, packs
from app.ledger import engine as ledger
from tests.support.factories import an_admission


def admit(engine: Engine, tier: str) -> None:
    """Two jobs, one of them due before now."""
    with engine.begin() as connection:
        now = ledger.now(connection)
        arrived = [an_admission(name, prompt=name, tier=tier) for name in ("late", "in time")]
        admission.admit(connection, arrived, at=now)
        connection.execute(
            text("""
                UPDATE job SET due_at = CASE WHEN ticket.task_id = 'late' THEN :before ELSE :after END
                FROM ticket WHERE ticket.job_id = job.id
            """),
            {"before": now - timedelta(seconds=1), "after": now + timedelta(hours=1)},
        )


def expired(engine: Engine) -> list[str]:
    """The tasks whose jobs upkeep ends."""
    with engine.begin() as connection:
        expiring.expire(connection, at=ledger.now(connection))
        rows = connection.execute(
            text("""
                SELECT task_id FROM ticket JOIN job ON job.id = ticket.job_id
                WHERE job.state = 'expired'
            """)
        )
        return list(rows.scalars())


def test_a_packer_that_was_down_buys_nothing_past_its_due_time(engine: Engine) -> None:
    """
    It is up before upkeep, which ends what is late a thousand at a time.
    """
    admit(engine, "batch")
    with engine.begin() as connection:
        found = packs.candidates(connection, at=ledger.now(connection))

    assert 1 == len(found)
    assert ["late"] == expired(engine)


def test_a_near_real_time_worker_buys_nothing_past_its_due_time(engine: Engine) -> None:
    """
    Of a queue that is behind, what is still of use goes first, and alone.
    """
    admit(engine, "near-real-time")
    claimed = []
    for _ in range(2):
        with engine.begin() as connection:
            now = ledger.now(connection)
            waiting = near_real_time.waiting(connection, at=now)
            one = near_real_time.claim(connection, provider="anthropic", account="default", at=now)
        claimed.append((len(waiting), type(one)))

    assert [(1, near_real_time.Claimed), (0, type(None))] == claimed
    assert ["late"] == expired(engine)
