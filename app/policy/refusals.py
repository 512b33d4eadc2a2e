"""Why a call that would be a job is refused all the same, by what the ledger knows. Pure."""

from app.policy.admission import JobDraft, Refusal
from app.policy.tickets import REVOKED


def conflict(draft: JobDraft) -> Refusal:
    """Its key, or its task id, names a job with another request."""
    named = f"idempotency key {draft.key!r}" if draft.key else "this task id"
    return Refusal(
        code="idempotency_conflict",
        message=f"{named} already names a job with another request; use a new key",
        on_failure=draft.on_failure,
        run=draft.run,
    )


def dropped(draft: JobDraft) -> Refusal:
    """Its run was cancelled."""
    return Refusal(
        code="cancelled",
        message="its run was cancelled before the call was admitted",
        on_failure=draft.on_failure,
        run=draft.run,
    )


def revoked(draft: object) -> Refusal:
    """Its task, a call or a notification, was revoked before it was admitted."""
    run = draft.run if isinstance(draft, JobDraft) else None
    return Refusal(code=REVOKED, message="revoked", run=run)
