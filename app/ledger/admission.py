"""Take messages into the ledger: tickets, and the jobs they wait for. May be repeated without effect."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from app.ledger import jobs, new_tickets, notifications, repeats, revoking, runs, sharing
from app.ledger.arrivals import Admission, Admitted, NotificationDraft
from app.ledger.sharing import Shared
from app.policy import refusals
from app.policy.admission import JobDraft, Refusal
from app.policy.lifecycle import ENDED, JobState
from app.policy.runs import RunDraft

#: How often one portion is taken in anew because another pump was quicker with one of its tasks.
_OVERTAKEN_MAX: Final = 3


def admit(
    connection: Connection, admissions: Sequence[Admission], *, at: datetime
) -> list[Admitted]:
    """Record the messages; commit afterwards, then forget them at the broker.

    What comes of them is what would come of one after the other, and of those that others take in meanwhile. A
    key that names a job with another request becomes a refusal with code `idempotency_conflict`; without a key,
    a task that comes again with another request is another call, with a job and a ticket of its own. A job that
    has ended already makes the ticket ready at once, and so does a revoke. A call whose workload reuses answers,
    or asks once for what is under way, gets the job of an identical one.
    """
    for _ in range(_OVERTAKEN_MAX):
        with connection.begin_nested() as taken_in:
            admitted, overtaken = _admit(connection, admissions, at)
            if not overtaken:
                return admitted
            taken_in.rollback()
    admitted, _ = _admit(connection, admissions, at)
    return admitted


def _admit(
    connection: Connection, admissions: Sequence[Admission], at: datetime
) -> tuple[list[Admitted], bool]:
    """What came of them, and whether a task of theirs got a ticket from somebody else at this very moment."""
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
    inserted = new_tickets.insert_tickets(connection, admitted, at)
    new_tickets.insert_notifications(connection, admitted, at)
    answered = [
        one.decision.id for one in admitted if one.ready and isinstance(one.decision, JobDraft)
    ]
    notifications.stage(connection, answered, at=at)
    fresh = {place for place, _ in _asked(admissions)} - set(there)
    return admitted, inserted < len(fresh) or _is_taken_for_another(admissions, admitted)


def _is_taken_for_another(admissions: Sequence[Admission], admitted: Sequence[Admitted]) -> bool:
    """Whether a call without a key met a job with another request: its task came first at another pump just now."""
    return any(
        isinstance(asked.decision, JobDraft)
        and asked.decision.key is None
        and isinstance(got.decision, Refusal)
        for asked, got in zip(admissions, admitted, strict=True)
    )


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
