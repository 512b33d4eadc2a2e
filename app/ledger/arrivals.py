"""What arrives: a message, what policy made of it, and what came of that in the ledger."""

import hashlib
from dataclasses import dataclass, field, replace
from uuid import UUID

from app.policy.admission import JobDraft, Refusal
from app.policy.awaiting import Follower
from app.policy.runs import RunDraft


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
            decision=self.decision.as_another(),
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
