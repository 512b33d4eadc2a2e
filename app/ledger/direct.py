"""Direct calls in the ledger: recorded after they were answered, found before they are repeated."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, literal, select
from sqlalchemy.dialects.postgresql import insert

from app.ledger import schema, spending
from app.ledger.moves import result_id, written_tool_calls
from app.policy.admission import JobDraft
from app.policy.ends import JobEnd
from app.policy.flaws import flaw
from app.policy.lifecycle import ENDED, JobState
from app.policy.outcomes import Answered, Outcome, Usage, outcome_name
from app.policy.tickets import TicketState

#: Rows to insert, by table.
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Billed:
    """What one attempt was billed for. `nano_usd` None is an unknown price, never a free one."""

    usage: Usage
    model: str
    nano_usd: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectRecord:
    """One direct call that got a definite end."""

    task_id: str
    draft: JobDraft
    #: How the last attempt ended.
    outcome: Outcome
    #: Every attempt in order, at least one; None for what was not billed.
    attempts: tuple[Billed | None, ...]
    ended_at: datetime
    #: What was reserved for it before it was made.
    reserved_nano_usd: int = 0
    reserved_at: datetime | None = None
    #: Tells this asking from others of its task: each was paid for, however often it is recorded.
    call: UUID = field(default_factory=uuid4)

    def rows(self) -> Rows:
        """The rows to insert, by table: plain values, so that they can wait outside the ledger."""
        return {
            "job": [self._job()],
            "ticket": [self._ticket()],
            "charge": self._charges(),
            "spend": [self._spend()],
        }

    def _spend(self) -> dict[str, Any]:
        """What the charges add to the day beyond the reservation; an unknown price costs the ceiling."""
        ceiling = self.draft.ceiling_nano_usd
        costs = [ceiling if one.nano_usd is None else one.nano_usd for one in self.attempts if one]
        return {
            "provider": self.draft.provider,
            "account": self.draft.account,
            "nano_usd": sum(costs) - self.reserved_nano_usd,
            "at": (self.reserved_at or self.ended_at).isoformat(),
        }

    def job_end(self) -> JobEnd:
        """How the job ended, as its caller is told."""
        row = self._job()
        names = JobEnd.__dataclass_fields__.keys() - {"job_id"}
        told: dict[str, Any] = {name: row.get(name) for name in names}
        return JobEnd(job_id=self.draft.id, **told)

    def _job(self) -> dict[str, Any]:
        draft = self.draft
        row: dict[str, Any] = {
            name: value
            for name, value in asdict(draft).items()
            if name not in {"notify", "sharing", "run"}
        }
        effective = draft.effective_for_s
        last = self.attempts[-1]
        cost_nano_usd = last.nano_usd if last is not None else None
        row |= {
            "likeness": draft.sharing.likeness,
            "state": JobState.FAILED,
            "outcome": outcome_name(self.outcome),
            "attempt": len(self.attempts),
            "admitted_at": draft.ready_at,
            "produced_at": self.ended_at,
            "settled_at": self.ended_at,
            "result_id": result_id(draft.id, len(self.attempts)),
            "cost_nano_usd": cost_nano_usd,
            "sync_cost_nano_usd": cost_nano_usd,
            "effective_until": draft.as_of + timedelta(seconds=effective) if effective else None,
        }
        if isinstance(self.outcome, Answered):
            return row | _answered(self.outcome)
        return row | {
            "error_code": getattr(self.outcome, "code", outcome_name(self.outcome)),
            "error_message": getattr(self.outcome, "message", "").replace("\0", ""),
            "error_retryable": outcome_name(self.outcome) != "rejected",
            "provider_request_id": getattr(self.outcome, "request_id", None),
        }

    def _ticket(self) -> dict[str, Any]:
        return {
            "task_id": self.task_id,
            "context_digest": self.call.bytes,
            "job_id": self.draft.id,
            "tenant": self.draft.tenant,
            "task_name": f"unhurried.{self.draft.endpoint}.v1",
            # A worker completes a direct call itself: nothing has to be rebuilt from here.
            "headers": b"{}",
            "properties": b"{}",
            "body": b"",
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "on_failure": self.draft.on_failure,
            "in_chord": False,
            "state": TicketState.COMPLETED,
            "admitted_at": self.draft.ready_at,
            "ready_at": self.ended_at,
            "completed_at": self.ended_at,
        }

    def _charges(self) -> list[dict[str, Any]]:
        numbered = enumerate(self.attempts, 1)
        return [self._charge(number, one) for number, one in numbered if one is not None]

    def _charge(self, number: int, billed: Billed) -> dict[str, Any]:
        return {
            "source": f"direct:{self.call}",
            "line": str(number),
            "provider": self.draft.provider,
            "account": self.draft.account,
            "tenant": self.draft.tenant,
            "job_id": self.draft.id,
            "model": billed.model,
            "batch": False,
            "usage": json.dumps(asdict(billed.usage)).encode(),
            "nano_usd": billed.nano_usd,
            "booked_at": self.ended_at,
        }


def _answered(answer: Answered) -> dict[str, Any]:
    row = {
        "state": JobState.SUCCEEDED,
        "answer": answer.body,
        "output": answer.output.encode("utf-8", "replace"),
        "tool_calls": written_tool_calls(answer),
        "usage": json.dumps(asdict(answer.usage)).encode(),
        "model_answered": answer.model,
        "provider_request_id": answer.request_id,
    }
    wrong = flaw(answer)
    if wrong is None:
        return row
    return row | {
        "state": JobState.FAILED,
        "error_code": wrong.code,
        "error_message": wrong.message,
        "error_retryable": wrong.retryable,
    }


def insert_rows(connection: Connection, rows: Rows) -> None:
    """Record one direct call. May be repeated without effect."""
    new = {
        name: [row for row in rows.get(name) or () if _insert(connection, name, row)]
        for name in ("job", "ticket", "charge")
    }
    # The ticket is this very call's: it is new once.
    for row in (rows.get("spend") or ()) if new["ticket"] else ():
        at = datetime.fromisoformat(row["at"])
        spending.add(connection, **{**row, "at": at})


def _insert(connection: Connection, name: str, row: dict[str, Any]) -> bool:
    """Whether the row is new. Asked for: where an id is given to it, the driver's count says nothing."""
    statement = insert(schema.metadata.tables[name]).values(row).on_conflict_do_nothing()
    return connection.execute(statement.returning(literal(1))).first() is not None


def find(connection: Connection, job_id: UUID) -> tuple[bytes, JobEnd | None] | None:
    """A job's fingerprint, and its end where it has ended; None where there is no such job."""
    table = schema.job
    names = sorted(JobEnd.__dataclass_fields__.keys() - {"job_id"})
    row = connection.execute(
        select(table.c.fingerprint, *(table.c[name] for name in names)).where(table.c.id == job_id)
    ).one_or_none()
    if row is None:
        return None
    if JobState(row.state) not in ENDED:
        return bytes(row.fingerprint), None
    return bytes(row.fingerprint), JobEnd(
        job_id=job_id, **{name: getattr(row, name) for name in names}
    )
