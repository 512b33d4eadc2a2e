"""Show a person what was asked, which nothing else does: with a reason, and on the record."""

import json
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Engine

from app.ledger import actions, jobs
from app.ledger import engine as ledger
from app.ledger.actions import Decision

#: What such an action is called.
REVEAL: Final = "reveal"


class Revealing:
    """Reads requests for people. Each look is an action of its own, whoever repeats it."""

    def __init__(self, *, engine: Engine) -> None:
        self._engine = engine

    def request(self, decision: Decision, job_id: UUID) -> dict[str, Any] | None:
        """The request of a job as the provider gets it, once it is recorded that somebody saw it.

        None where there is no such job, or what it asked was pruned. Raises AnotherDecisionError, as any action.
        """
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            actions.note(connection, decision, at=now)
            found = jobs.request_of(connection, job_id)
            did = {"did": {"revealed": int(found is not None)}, "left": {}}
            actions.close(connection, decision.request_id, did, at=now)
        if found is None:
            return None
        request: dict[str, Any] = json.loads(found)
        return request
