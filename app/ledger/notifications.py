"""The outbox of mails and webhooks: staged with the end they tell of, delivered afterwards.

A mail that is `sending` past its lease was interrupted while the mail server had it: nobody knows
whether the person got it. It becomes `unknown` and is never sent again by itself; a person may ask for it. A webhook is simply
sent again, with the id that it had: see `app.ledger.webhooks`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import Connection, text

from app.policy import tracing
from app.policy.keeping import CONTENT_PRUNED

_NAMESPACE: Final = UUID("c1de6f0a-3c58-4f5a-9a0e-756e68757272")


#: How often a person has had a job tried again.
REOPENED: Final = """
    (SELECT count(*) FROM event WHERE event.job_id = job.id AND event.kind = 'reopened')
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A notification to be delivered now; `attempts` counts this one, and tells its claim from others."""

    id: UUID
    tenant: str
    kind: str
    ticket_id: int | None
    job_id: UUID | None
    payload: dict[str, Any]
    attempts: int
    #: Those of them before a person had it sent again: they are not held against it.
    attempts_before: int = 0
    created_at: datetime

    @property
    def tries(self) -> int:
        """How often it has been tried, this one included."""
        return self.attempts - self.attempts_before


def stage(connection: Connection, job_ids: Sequence[UUID], *, at: datetime) -> None:
    """Stage what the ready tickets of these jobs asked for with `notify=`. May be repeated.

    A job that a person had tried again is told of once more: under the id that it had, a receiver would
    take its answer for a repetition. Nothing for those that were let go: their callers want to hear no more.
    """
    if not job_ids:
        return
    rows = connection.execute(
        text(f"""
            SELECT ticket.id, ticket.tenant, ticket.task_id, ticket.notify, ticket.headers,
                   job.id AS job_id,
                   job.key, job.tier, job.state, job.error_code, job.error_retryable, job.workload,
                   job.subject, job.as_of, job.produced_at, job.effective_until,
                   job.content_pruned_at,
                   {REOPENED} AS reopened
            FROM ticket JOIN job ON job.id = ticket.job_id
            WHERE ticket.job_id = ANY(CAST(:ids AS uuid[])) AND ticket.notify IS NOT NULL
              AND ticket.state = 'ready' AND ticket."end" IS NULL
        """),  # noqa: S608 - a constant of this module
        {"ids": list(job_ids)},
    )
    staged = [
        one
        for row in rows
        for one in _staged(row, _about(row), job_id=row.job_id, reopened=row.reopened, at=at)
    ]
    _insert(connection, staged)


def stage_run(
    connection: Connection, ticket: Any, about: Mapping[str, Any], *, at: datetime
) -> None:
    """Stage what a run's own ticket asked for with `notify=`. May be repeated.

    `ticket` has an id, a tenant, headers and what is to be told.
    """
    if ticket.notify is not None:
        _insert(connection, list(_staged(ticket, about, job_id=None, reopened=0, at=at)))


def _staged(
    ticket: Any, about: Mapping[str, Any], *, job_id: UUID | None, reopened: int, at: datetime
) -> Iterator[dict[str, Any]]:
    trace = tracing.carried(json.loads(bytes(ticket.headers)))
    for index, notice in enumerate(json.loads(bytes(ticket.notify))):
        yield {
            "id": _id_of_notice(ticket.id, index, reopened),
            "tenant": ticket.tenant,
            "kind": notice["kind"],
            "receiver": notice.get("receiver"),
            "job_id": job_id,
            "payload": json.dumps({**notice, "about": about, "trace": trace}).encode(),
            "at": at,
        }


def _insert(connection: Connection, staged: Sequence[dict[str, Any]]) -> None:
    if staged:
        connection.execute(
            text("""
                INSERT INTO notification
                  (id, tenant, kind, receiver, job_id, payload, state, created_at, next_at)
                VALUES (:id, :tenant, :kind, :receiver, :job_id, :payload, 'new', :at, :at)
                ON CONFLICT DO NOTHING
            """),
            staged,
        )


def _about(row: Any) -> dict[str, Any]:
    """What may be told of one job: names, counts and times, never a prompt or an answer.

    Of an answer that was pruned before it was asked for again, that there is none.
    """
    pruned = row.content_pruned_at is not None and row.state == "succeeded"
    state = "failed" if pruned else row.state
    return {
        "jobs": 1,
        "failed": int(state != "succeeded"),
        "state": state,
        "code": CONTENT_PRUNED if pruned else row.error_code,
        "retryable": bool(row.error_retryable),
        "job_id": str(row.job_id),
        "task_id": row.task_id,
        "key": row.key,
        "tier": row.tier,
        "workload": row.workload,
        "subject": row.subject,
        "as_of": row.as_of.isoformat() if row.as_of else None,
        "produced_at": row.produced_at.isoformat() if row.produced_at else None,
        "effective_until": row.effective_until.isoformat() if row.effective_until else None,
    }


def ids_of_notices(ticket_id: int, notify: bytes | None, *, reopened: int = 0) -> list[UUID]:
    """The ids of what a ticket asked for with `notify=`, staged or not.

    Of its job's end after it was tried again `reopened` times by a person.
    """
    count = len(json.loads(bytes(notify))) if notify is not None else 0
    return [_id_of_notice(ticket_id, index, reopened) for index in range(count)]


def _id_of_notice(ticket_id: int, index: int, reopened: int) -> UUID:
    again = f":{reopened}" if reopened else ""
    return uuid5(_NAMESPACE, f"{ticket_id}:{index}{again}")


def id_of_task(task_id: str, context_digest: bytes) -> UUID:
    """The id of what an `email` or `webhook` task asks for: the same message always gives the same."""
    return uuid5(_NAMESPACE, f"task:{task_id}:{context_digest.hex()}")


def claim(connection: Connection, *, at: datetime, lease: timedelta, limit: int = 50) -> list[Due]:
    """Take mails that are due; nobody else takes them until the lease is over."""
    rows = connection.execute(
        text("""
            -- Materialized, or the plan may run it again for each row, and take more than the limit.
            WITH due AS MATERIALIZED (
              SELECT id FROM notification
              WHERE receiver IS NULL AND state = 'new' AND next_at <= :at
                AND (leased_until IS NULL OR leased_until < :at)
              ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED
            )
            UPDATE notification SET leased_until = :until, attempts = attempts + 1
            WHERE id IN (SELECT id FROM due)
            RETURNING id, tenant, kind, ticket_id, job_id, payload, attempts, attempts_before,
                      created_at
        """),
        {"at": at, "until": at + lease, "limit": limit},
    )
    return [
        Due(**{**row._asdict(), "payload": json.loads(bytes(row.payload))}) for row in rows.all()
    ]


def sending(connection: Connection, notification_id: UUID, *, attempts: int) -> bool:
    """Record that from here on the receiver may have it; False where somebody else took it over.

    May be repeated by whoever claimed it: `attempts` is that claim's own.
    """
    return bool(
        connection.execute(
            text("""
                UPDATE notification SET state = 'sending'
                WHERE id = :id AND state IN ('new', 'sending') AND attempts = :attempts
            """),
            {"id": notification_id, "attempts": attempts},
        ).rowcount
    )


def delivered(connection: Connection, due: Due, *, at: datetime) -> None:
    """Record that the receiver has it, and make the ticket that asked for it ready."""
    _end(connection, due, "done", {"schema": 1, "notification_id": str(due.id)}, at=at)


def dead(connection: Connection, due: Due, *, at: datetime, reason: str) -> bool:
    """Give up: the receiver refused it for good, or every attempt failed.

    False where somebody else took it over, whom the receiver may say yes to.
    """
    error = {"code": "notification_failed", "message": reason, "retryable": False}
    return _end(connection, due, "dead", {"error": error}, at=at, reason=reason)


def unknown(connection: Connection, due: Due, *, at: datetime, reason: str) -> None:
    """The receiver's reply was lost. It is not sent again: two mails are worse than a held one."""
    end = {"schema": 1, "notification_id": str(due.id), "delivery": "unknown"}
    _end(connection, due, "unknown", end, at=at, reason=reason)


def not_wanted(connection: Connection, due: Due, *, at: datetime) -> None:
    """Its receiver does not take events of this type: done, and never sent."""
    end = {"schema": 1, "notification_id": str(due.id), "delivery": "not_wanted"}
    _end(connection, due, "done", end, at=at, reason="not among the receiver's events", sent=False)


def again(connection: Connection, due: Due, *, next_at: datetime, reason: str) -> None:
    """A definite no: try again at `next_at`."""
    connection.execute(
        text("""
            UPDATE notification
            SET state = 'new', next_at = :next_at, leased_until = NULL, last_error = :reason
            WHERE id = :id AND attempts = :attempts AND state IN ('new', 'sending')
        """),
        {"id": due.id, "next_at": next_at, "reason": reason, "attempts": due.attempts},
    )


def interrupted(connection: Connection, *, at: datetime, limit: int = 100) -> list[Due]:
    """Mails whose sender died while the mail server may have had them."""
    rows = connection.execute(
        text("""
            SELECT id, tenant, kind, ticket_id, job_id, payload, attempts, attempts_before, created_at
            FROM notification
            WHERE receiver IS NULL AND state = 'sending' AND leased_until < :at LIMIT :limit
        """),
        {"at": at, "limit": limit},
    )
    return [
        Due(**{**row._asdict(), "payload": json.loads(bytes(row.payload))}) for row in rows.all()
    ]


def _end(
    connection: Connection,
    due: Due,
    state: str,
    end: dict[str, Any],
    *,
    at: datetime,
    reason: str | None = None,
    sent: bool = True,
) -> bool:
    moved = connection.execute(
        text("""
            UPDATE notification
            SET state = :state, last_error = :reason,
                -- Sent again in vain, it has been there all the same.
                sent_at = CASE WHEN :sent THEN CAST(:at AS timestamptz) ELSE sent_at END
            -- What was delivered is, whoever did it; a no is only the last claim's to say.
            WHERE id = :id AND state IN ('new', 'sending')
              AND (:state <> 'dead' OR attempts = :attempts)
        """),
        {
            "id": due.id,
            "state": state,
            "reason": reason,
            "attempts": due.attempts,
            "at": at,
            "sent": sent and state == "done",
        },
    ).rowcount
    if moved and due.ticket_id is not None:
        connection.execute(
            text("""
                UPDATE ticket SET state = 'ready', ready_at = :at, "end" = :end
                WHERE id = :id AND state = 'open'
            """),
            {"id": due.ticket_id, "at": at, "end": json.dumps(end).encode()},
        )
    return bool(moved)
