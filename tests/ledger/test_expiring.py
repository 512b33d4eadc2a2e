"""A due time that passes ends a waiting job, and only a waiting one."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, text

from app.ledger import admission, expiring, packs
from tests.support.factories import NOW, a_pack, an_admission


def states(engine: Engine) -> dict[str, tuple[str, str]]:
    """Job and ticket state by task id."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT task_id, job.state AS job, ticket.state AS ticket
                FROM ticket JOIN job ON job.id = ticket.job_id
            """)
        )
        return {row.task_id: (row.job, row.ticket) for row in rows}


def test_a_waiting_job_expires_at_its_due_time(engine: Engine) -> None:
    """
    Its ticket becomes ready with the end `expired`; jobs without a due time, or with a later one, wait.
    """
    wishes: dict[str, dict[str, Any]] = {
        "late": {"deadline_s": 60},
        "early": {"deadline_s": 7200},
        "patient": {},
    }
    with engine.begin() as connection:
        arrived = [an_admission(name, **wish) for name, wish in wishes.items()]
        admission.admit(connection, arrived, at=NOW)

        first = expiring.expire(connection, at=NOW + timedelta(hours=1))
        again = expiring.expire(connection, at=NOW + timedelta(hours=1))

    assert (1, 0) == (first, again)
    assert {
        "late": ("expired", "ready"),
        "early": ("waiting", "open"),
        "patient": ("waiting", "open"),
    } == states(engine)


def test_a_job_in_flight_is_not_expired(engine: Engine) -> None:
    """
    What may have been paid for already is waited for.
    """
    with engine.begin() as connection:
        admission.admit(connection, [an_admission("late", deadline_s=60)], at=NOW)
        (one,) = a_pack(packs.candidates(connection, at=NOW), now=NOW)
        packs.make(connection, one, at=NOW)

        expired = expiring.expire(connection, at=NOW + timedelta(hours=1))

    assert (0, {"late": ("in_flight", "open")}) == (expired, states(engine))
