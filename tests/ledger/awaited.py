"""Calls whose answers somebody awaits, and what a reading of the ledger says of them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from app.ledger import engine as ledger
from app.ledger import pick_ups, standing, tickets
from app.ledger.arrivals import Admission
from app.policy.awaiting import Follower
from app.policy.standing import Standing
from tests.support.answering import admit, answer
from tests.support.factories import an_admission
from unhurried.readers import Declaration, PickUp

LIFETIME = timedelta(days=8)
REPORT = Declaration(
    name="weekly-report", workload="notes", max_staleness_s=60, task="tasks.report"
)
PAGE = Declaration(name="page", workload="notes", max_staleness_s=60)


def read(engine: Engine, *, hours: float = 0) -> tuple[Standing, datetime]:
    """How it stands some hours from now."""
    with engine.connect() as connection:
        at = ledger.now(connection) + timedelta(hours=hours)
        return standing.of(connection, at=at, lifetime=LIFETIME, daily_limits={}), at


def unread(engine: Engine) -> dict[str, int]:
    """Unread results by who awaits them."""
    return {one.consumer: one.count for one in read(engine)[0].unread}


def a_call(
    task_id: str = "task-1",
    *,
    follower: str | None = None,
    follower_id: str | None = None,
    tells: bool = True,
    **fields: Any,
) -> Admission:
    """A call whose canvas goes on with a task."""
    wishes = {name: fields.pop(name) for name in ("workload", "run", "notify") if name in fields}
    made = an_admission(task_id, prompt=task_id, **wishes)
    following = Follower(task=follower, task_id=follower_id) if follower else None
    message = replace(made.message, follower=following, tells_pick_ups=tells, **fields)
    return replace(made, message=message)


def complete(engine: Engine) -> None:
    """Tell Celery of every ready ticket, as a completer does."""
    with engine.begin() as connection:
        now = ledger.now(connection)
        taken = tickets.claim(connection, at=now, lease=timedelta(minutes=1), limit=100)
        done = [(one.id, one.generation) for one in taken]
        tickets.completed(connection, done, at=ledger.now(connection))


def answered(engine: Engine, *calls: Admission) -> list[UUID]:
    """Admitted, answered, completed; the jobs."""
    job_ids = admit(engine, calls)
    answer(engine, job_ids)
    complete(engine)
    return job_ids


def results_of(engine: Engine, job_ids: list[UUID]) -> tuple[UUID, ...]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT result_id FROM job WHERE id = ANY(:ids)"), {"ids": job_ids}
        )
        return tuple(rows.scalars())


def note(engine: Engine, *, by: Declaration | None, **fields: Any) -> None:
    """A reader's note reaches the ledger."""
    with engine.begin() as connection:
        now = ledger.now(connection)
        noted = PickUp(consumer=by, picked_up_at=now, **{"result_ids": (), **fields})
        pick_ups.record(connection, [noted], at=now)
