"""What a person decides about lanes and rounds rather than jobs: pause, resume, pack now, look now."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine

from app.changing.decisions import Decisions, Outcome
from app.ledger import engine as ledger
from app.ledger import lanes, submissions
from app.ledger.actions import Decision
from app.ledger.lanes import LaneName


class Lanes:
    """Carries out decisions about lanes. Each may be repeated; what is in flight is never touched."""

    def __init__(self, *, engine: Engine, decisions: Decisions) -> None:
        self._engine = engine
        self._decisions = decisions

    def pause(self, decision: Decision, lane: LaneName) -> Outcome:
        """Send nothing more of a lane, at the batch and near-real-time tiers, until a person resumes it."""

        def do(_: datetime) -> Outcome:
            with self._engine.begin() as connection:
                paused = lanes.pause_by_person(
                    connection,
                    lane,
                    who=decision.who,
                    reason=decision.why,
                    at=ledger.now(connection),
                )
            return _counted("paused", int(paused), "a person has paused it already")

        return self._decisions.record(decision, do)

    def resume(self, decision: Decision, lane: LaneName) -> Outcome:
        """Go on with a lane, whoever had paused it."""

        def do(_: datetime) -> Outcome:
            with self._engine.begin() as connection:
                resumed = lanes.resume_by_person(connection, lane)
            return _counted("resumed", int(resumed), "it is not paused")

        return self._decisions.record(decision, do)

    def flush(self, decision: Decision, wanted: Mapping[str, str]) -> Outcome:
        """Pack what waits now, without waiting for company. `wanted` narrows down, as lanes are named."""

        def do(at: datetime) -> Outcome:
            with self._engine.begin() as connection:
                return {"did": {"flushed": lanes.flush(connection, wanted, at=at)}, "left": {}}

        return self._decisions.record(decision, do)

    def poll(self, decision: Decision, submission_id: UUID | None) -> Outcome:
        """Look at one batch, or at all, in the next round."""

        def do(at: datetime) -> Outcome:
            with self._engine.begin() as connection:
                count = submissions.look_now(connection, submission_id, at=at)
            return {"did": {"looked_at": count}, "left": {}}

        return self._decisions.record(decision, do)


def _counted(deed: str, count: int, otherwise: str) -> Outcome:
    if count:
        return {"did": {deed: count}, "left": {}}
    return {"did": {}, "left": {otherwise: 1}}
