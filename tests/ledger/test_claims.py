"""A claim takes as many as it was asked for, whatever plan PostgreSQL chooses."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from app.ledger import admission, notifications, tickets
from app.ledger import engine as ledger
from tests.support.factories import an_admission

LEASE = timedelta(minutes=1)
#: What PostgreSQL may not use: without all of the second it runs a claim's subquery anew for each row.
AVOIDED = [(), ("hashjoin", "hashagg", "sort", "material")]


def _mails(connection: Connection) -> list[Any]:
    return notifications.claim(connection, at=ledger.now(connection), lease=LEASE, limit=1)


def _tickets(connection: Connection) -> list[Any]:
    return tickets.claim(connection, at=ledger.now(connection), lease=LEASE, limit=1)


@pytest.mark.parametrize("claim", [_mails, _tickets])
@pytest.mark.parametrize("avoided", AVOIDED, ids=["any plan", "a nested loop"])
def test_a_claim_takes_no_more_than_its_limit(
    engine: Engine, claim: Callable[[Connection], list[Any]], avoided: tuple[str, ...]
) -> None:
    """
    Five are there; each claim takes one more of them, and the sixth none.
    """
    with engine.begin() as connection:
        now = ledger.now(connection)
        wishes = [an_admission(f"task-{n}", notify=[{"to": "a@example.com"}]) for n in range(5)]
        admission.admit(connection, wishes, at=now)
        connection.execute(text("UPDATE ticket SET state = 'ready'"))
        jobs = connection.execute(text("SELECT id FROM job")).scalars().all()
        notifications.stage(connection, jobs, at=now)
    with engine.begin() as connection:
        for way in avoided:
            connection.execute(text(f"SET LOCAL enable_{way} = off"))
        taken = [len(claim(connection)) for _ in range(6)]

    assert [1, 1, 1, 1, 1, 0] == taken
