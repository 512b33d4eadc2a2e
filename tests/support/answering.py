"""Jobs in the ledger, answered without a provider: a test that is about what comes afterwards."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Engine

from app.ledger import admission, moves
from app.ledger import engine as ledger
from app.ledger.arrivals import Admission
from app.policy.admission import JobDraft
from app.policy.lifecycle import Fail, JobState, Succeed
from tests.support.factories import an_answer


def admit(engine: Engine, arrived: Sequence[Admission]) -> list[UUID]:
    """Take messages in; the jobs that their tickets wait for."""
    with engine.begin() as connection:
        admitted = admission.admit(connection, arrived, at=ledger.now(connection))
    return [one.decision.id for one in admitted if isinstance(one.decision, JobDraft)]


def answer(engine: Engine, job_ids: Sequence[UUID], *, output: str = "Fine.") -> None:
    """Answer jobs that wait."""
    with engine.begin() as connection:
        settled = [
            Succeed(
                job_id=job_id,
                attempt=number,
                answer=an_answer(output),
                cost_nano_usd=7,
                sync_cost_nano_usd=14,
            )
            for job_id, number in _opened(connection, job_ids).items()
        ]
        moves.apply(connection, settled, at=ledger.now(connection))


def fail(engine: Engine, job_ids: Sequence[UUID], *, code: str = "invalid_request") -> None:
    """End jobs that wait without an answer."""
    with engine.begin() as connection:
        settled = [
            Fail(
                job_id=job_id,
                attempt=number,
                state=JobState.FAILED,
                outcome="rejected",
                code=code,
                message="no",
                retryable=False,
            )
            for job_id, number in _opened(connection, job_ids).items()
        ]
        moves.apply(connection, settled, at=ledger.now(connection))


def _opened(connection: Connection, job_ids: Sequence[UUID]) -> dict[UUID, int]:
    now = ledger.now(connection)
    return moves.take_off(connection, job_ids, tier="batch", submission_id=None, at=now)
