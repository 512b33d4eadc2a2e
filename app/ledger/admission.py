"""Take messages into the ledger: tickets, and the jobs they wait for. May be repeated without effect."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from app.ledger import jobs, notifications, repeats, revoking, runs, schema, sharing
from app.ledger.sharing import Shared
from app.policy import refusals
from app.policy.admission import JobDraft, Refusal
from app.policy.awaiting import Follower, awaited_by
from app.policy.lifecycle import ENDED, JobState
from app.policy.runs import RunDraft
from app.policy.tickets import TicketState, ended_with
from unhurried.contract import MailNotice, OnFailure, WebhookNotice


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A Celery message as it came, taken apart but not changed."""

    task_id: str
    task_name: str
    context_digest: bytes
    headers: bytes
    properties: bytes
    body: bytes = field(repr=False)
    content_type: str
    content_encoding: str
    group_id: str | None
    root_id: str | None
    in_chord: bool
    #: The caller wants no result stored; nothing may be written under its task id.
    ignore_result: bool
    origin: bytes | None
    #: The task that is published with its result; None where none is.
    follower: Follower | None = None
    #: Its caller's workers say when a task of theirs has taken a result.
    tells_pick_ups: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class NotificationDraft:
    """What a canvas asked for: `email` or `webhook` as a link, a chain step or a chord's body."""

    id: UUID
    tenant: str
    kind: str
    #: Whom a webhook goes to; None for a mail.
    receiver: str | None
    payload: bytes


Decision = JobDraft | NotificationDraft | RunDraft | Refusal


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """One message and what policy made of it."""

    message: Message
    decision: Decision

    def used_for(self, use: bytes | None) -> "Admission":
        """The same as another call under its task's id: with a job and a ticket of its own."""
        if use is None or not isinstance(self.decision, JobDraft):
            return self
        digest = hashlib.sha256(self.message.context_digest + use).digest()
        return Admission(
            message=replace(self.message, context_digest=digest),
            decision=replace(self.decision, id=uuid5(self.decision.id, use.hex())),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Admitted:
    """What came of one admission."""

    message: Message
    decision: Decision
    #: Whether the ticket can be completed at once.
    ready: bool
    #: Whether it waits for a job that another call asked for, by its workload's contract.
    shared: bool = False


def admit(
    connection: Connection, admissions: Sequence[Admission], *, at: datetime
) -> list[Admitted]:
    """Record the messages; commit afterwards, then forget them at the broker.

    What comes of them is what would come of one after the other. A key that names a job with another request
    becomes a refusal with code `idempotency_conflict`; without a key, a task that comes again with another
    request is another call, with a job and a ticket of its own. A job that has ended already makes the ticket ready at once, and so does a revoke. A call whose
    workload reuses answers, or asks once for what is under way, gets the job of an identical one.
    """
    admissions = _unless_revoked(connection, _parts_of_runs(connection, admissions, at))
    there = repeats.standing(connection, [one.message.task_id for one in admissions])
    uses = repeats.uses(_asked(admissions), there)
    admissions = [one.used_for(use) for one, use in zip(admissions, uses, strict=True)]
    admissions = _with_tickets(admissions, there)
    first = _first_of_each(admissions)
    shared = repeats.shared_before(connection, first.values(), there)
    left = [draft for _, draft in first.values() if draft.id not in shared]
    shared |= sharing.answered(connection, left, at=at)
    own = [draft for draft in left if draft.id not in shared]
    states, joined = jobs.insert_jobs(connection, own, at=at)
    admitted = [_place(admission, states, shared | joined) for admission in admissions]
    _insert_tickets(connection, admitted, at)
    _insert_notifications(connection, admitted, at)
    answered = [
        one.decision.id for one in admitted if one.ready and isinstance(one.decision, JobDraft)
    ]
    notifications.stage(connection, answered, at=at)
    return admitted


def _with_tickets(
    admissions: Sequence[Admission], there: Mapping[repeats.Place, repeats.Standing]
) -> list[Admission]:
    """The messages, without those that ask for a job of which no ticket would come."""
    in_vain = repeats.in_vain(_asked(admissions), there)
    return [one for one, vain in zip(admissions, in_vain, strict=True) if not vain]


def _asked(admissions: Sequence[Admission]) -> list[tuple[repeats.Place, JobDraft | None]]:
    return [
        (
            (one.message.task_id, one.message.context_digest),
            one.decision if isinstance(one.decision, JobDraft) else None,
        )
        for one in admissions
    ]


def _first_of_each(admissions: Sequence[Admission]) -> dict[UUID, tuple[str, JobDraft]]:
    """By the id of each job, the task and the draft that came first: that one stands."""
    first: dict[UUID, tuple[str, JobDraft]] = {}
    for one in admissions:
        if isinstance(one.decision, JobDraft):
            first.setdefault(one.decision.id, (one.message.task_id, one.decision))
    return first


def _parts_of_runs(
    connection: Connection, admissions: Sequence[Admission], at: datetime
) -> list[Admission]:
    """The messages, with those refused whose run was cancelled; runs are noted and sealed."""
    cancelled = runs.opened(connection, _runs_of(admissions), at=at)
    for one in admissions:
        if isinstance(one.decision, RunDraft):
            runs.seal(connection, one.decision, at=at)
    return [
        replace(one, decision=refusals.dropped(one.decision))
        if isinstance(one.decision, JobDraft) and one.decision.run in cancelled
        else one
        for one in admissions
    ]


def _runs_of(admissions: Sequence[Admission]) -> dict[UUID, tuple[str, str | None]]:
    """Tenant and workload of each run, as the first message that names it says."""
    found: dict[UUID, tuple[str, str | None]] = {}
    for decision in (one.decision for one in admissions):
        match decision:
            case RunDraft():
                found.setdefault(decision.id, (decision.tenant, decision.workload))
            case JobDraft() if decision.run is not None:
                found.setdefault(decision.run, (decision.tenant, decision.workload))
            case _:
                pass
    return found


def _unless_revoked(connection: Connection, admissions: list[Admission]) -> list[Admission]:
    """The messages, with those refused whose task was revoked before it was admitted."""
    revoked = revoking.among(connection, [one.message.task_id for one in admissions])
    return [
        replace(one, decision=refusals.revoked(one.decision))
        if one.message.task_id in revoked and isinstance(one.decision, JobDraft | NotificationDraft)
        else one
        for one in admissions
    ]


def _place(
    admission: Admission,
    states: Mapping[UUID, tuple[bytes, JobState]],
    shared: Mapping[UUID, Shared],
) -> Admitted:
    message, decision = admission.message, admission.decision
    if not isinstance(decision, JobDraft):
        ready = isinstance(decision, Refusal)
        return Admitted(message=message, decision=decision, ready=ready)
    other = shared.get(decision.id)
    fingerprint, state = states[decision.id] if other is None else (other.fingerprint, other.state)
    if fingerprint != decision.fingerprint:
        return Admitted(message=message, decision=refusals.conflict(decision), ready=True)
    return Admitted(
        message=message,
        decision=decision if other is None else replace(decision, id=other.job_id),
        ready=state in ENDED,
        shared=other is not None,
    )


def _insert_tickets(connection: Connection, admitted: Sequence[Admitted], at: datetime) -> None:
    if admitted:
        rows = [_ticket_row(one, at) for one in admitted]
        connection.execute(insert(schema.ticket).on_conflict_do_nothing(), rows)


def _insert_notifications(
    connection: Connection, admitted: Sequence[Admitted], at: datetime
) -> None:
    """Stage what a canvas asked for; each completes its ticket once it is delivered."""
    for one in admitted:
        if not isinstance(one.decision, NotificationDraft):
            continue
        connection.execute(
            text("""
                INSERT INTO notification
                  (id, tenant, kind, receiver, ticket_id, payload, state, created_at, next_at)
                SELECT :id, :tenant, :kind, :receiver, ticket.id, :payload, 'new', :at, :at
                FROM ticket WHERE task_id = :task_id AND context_digest = :digest
                ON CONFLICT DO NOTHING
            """),
            {
                "id": one.decision.id,
                "tenant": one.decision.tenant,
                "kind": one.decision.kind,
                "receiver": one.decision.receiver,
                "payload": one.decision.payload,
                "at": at,
                "task_id": one.message.task_id,
                "digest": one.message.context_digest,
            },
        )


def _ticket_row(one: Admitted, at: datetime) -> dict[str, Any]:
    message, decision = one.message, one.decision
    same = (
        "task_id task_name context_digest headers properties body content_type content_encoding "
        "group_id root_id in_chord origin"
    )
    row: dict[str, Any] = {name: getattr(message, name) for name in same.split()}
    row |= {
        "job_id": None,
        "run_id": None,
        "tenant": "default",
        "on_failure": OnFailure.RAISE,
        "notify": None,
        "end": None,
        "awaited_by": None,
        "follower_id": message.follower.task_id if message.follower is not None else None,
        "state": TicketState.READY if one.ready else TicketState.OPEN,
        "admitted_at": at,
        "ready_at": at if one.ready else None,
    }
    match decision:
        case JobDraft():
            row |= {"job_id": decision.id, "tenant": decision.tenant}
            row |= {"on_failure": decision.on_failure, "notify": _notices(decision.notify)}
            row |= {"run_id": decision.run}
            row |= {"awaited_by": _reader(message, decision.notify, workload=decision.workload)}
        case RunDraft():
            row |= {"tenant": decision.tenant, "notify": _notices(decision.notify)}
            row |= {"awaited_by": _reader(message, decision.notify)}
        case NotificationDraft():
            row |= {"tenant": decision.tenant}
        case Refusal():
            row |= {"on_failure": decision.on_failure, "end": _refused(decision)}
            row |= {"run_id": decision.run}
    return row


def _reader(
    message: Message,
    notices: Sequence[MailNotice | WebhookNotice],
    *,
    workload: str | None = None,
) -> str | None:
    return awaited_by(
        message.follower,
        notices,
        workload=workload,
        ignores_result=message.ignore_result,
        tells=message.tells_pick_ups,
    )


def _notices(notices: Sequence[MailNotice | WebhookNotice]) -> bytes | None:
    if not notices:
        return None
    return json.dumps([notice.model_dump(mode="json") for notice in notices]).encode()


def _refused(refusal: Refusal) -> bytes:
    return ended_with(refusal.code, refusal.message)


def quarantine(
    connection: Connection, *, source: str, reason: str, raw: bytes, digest: bytes, at: datetime
) -> None:
    """Keep what could not be understood, once."""
    row = {"source": source, "reason": reason, "raw": raw, "digest": digest, "at": at}
    connection.execute(insert(schema.quarantine).values(row).on_conflict_do_nothing())
