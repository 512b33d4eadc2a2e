"""What clients ask to be changed: their own tasks and runs."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Engine

from app.changing.decisions import Decisions, Outcome
from app.ledger import changing, revoking
from app.ledger import engine as ledger
from app.ledger.actions import AnotherDecisionError, Decision
from app.policy.changing import Cancel, Due, Expedite, Wish
from app.policy.subjects import Kind, Subject
from unhurried.change_wire import Change, Changed, Of, Wished
from unhurried.contract import Tier
from unhurried.readers import REPLY_LIFETIME_S, reply_key

_KINDS: Final = {Of.TASK: Kind.TASK, Of.RUN: Kind.RUN}
#: Said of a task whose message has not been admitted, or of one that was never published.
_UNKNOWN: Final = "it is not admitted yet: ask again"


class Requests:
    """Answers clients. A request that comes twice is answered twice and done once."""

    def __init__(
        self, *, engine: Engine, decisions: Decisions, client: Any, key_prefix: str
    ) -> None:
        self._engine = engine
        self._decisions = decisions
        self._client = client
        self._key_prefix = key_prefix

    def answer(self, change: Change) -> Changed:
        """Do what a client asks for, and write what came of it where the client looks."""
        subject = Subject(kind=_KINDS[change.of], id=change.id)
        decision = Decision(
            who=change.who,
            why=change.why,
            what=change.what,
            subject=str(subject),
            request_id=change.request_id,
        )
        try:
            changed = Changed.model_validate(self._do(decision, _wish(change), subject))
        except (ValueError, AnotherDecisionError) as refusal:
            changed = Changed(refused=str(refusal))
        key = self._key_prefix + reply_key(str(change.request_id))
        self._client.set(key, changed.model_dump_json(), ex=REPLY_LIFETIME_S)
        return changed

    def _do(self, decision: Decision, wish: Wish, subject: Subject) -> Outcome:
        if subject.kind is Kind.RUN:
            UUID(subject.id)  # an id that is none is nobody's run: ValueError
            return self._decisions.carry_out(decision, wish, subject)
        with self._engine.connect() as connection:
            known = changing.resolve(connection, subject.id, kind=Kind.TASK)
        if known is not None:
            return self._decisions.carry_out(decision, wish, subject)
        if isinstance(wish, Cancel):
            return self._decisions.record(decision, lambda _: self._on_arrival(subject.id))
        return {"left": {_UNKNOWN: 1}}

    def _on_arrival(self, task_id: str) -> Outcome:
        """Its message is still in Redis: it ends when it is admitted."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            revoking.note(connection, [task_id], at=now)
            # Admitted since the look before.
            revoking.honour(connection, [task_id], at=now)
        return {"did": {"cancelled_on_arrival": 1}, "left": {}}


def _wish(change: Change) -> Wish:
    match change.what:
        case Wished.CANCEL:
            return Cancel()
        case Wished.EXPEDITE:
            return Expedite(to=change.tier or Tier.NEAR_REAL_TIME)
        case Wished.DUE:
            return Due(at=change.due_at)
