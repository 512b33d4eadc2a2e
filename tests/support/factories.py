"""Values of the ledger with everything filled in; a test names only what it is about."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.ledger.arrivals import Admission, Message
from app.policy import admission
from app.policy.admission import JobDraft
from app.policy.outcomes import Answered, Finish, Usage
from app.policy.packing import Candidate, LaneKey, Limits, PackPlan, Patience, plan
from app.policy.rules import Rules
from unhurried.contract import Endpoint, Tier

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
_TIERS = frozenset({Tier.BATCH, Tier.NEAR_REAL_TIME})
_NAMED = frozenset({"research"})
RULES = Rules(
    request_bytes_max=100_000,
    attempts_max=3,
    tiers=_TIERS,
    accounts={"anthropic": _NAMED, "openai": _NAMED},
    receivers=frozenset({"crm"}),
)
LIMITS = Limits(requests_max=1000, bytes_max=1_000_000, line_overhead_bytes=100)


def a_draft(
    task_id: str = "task-1",
    *,
    prompt: str = "Hello",
    key: str | None = None,
    endpoint: Endpoint = Endpoint.MESSAGES,
    **options: Any,
) -> JobDraft:
    """A job as admission decides it."""
    found = decided(task_id, prompt=prompt, key=key, endpoint=endpoint, **options)
    assert isinstance(found, JobDraft), found
    return found


def decided(
    task_id: str = "task-1",
    *,
    prompt: str = "Hello",
    key: str | None = None,
    endpoint: Endpoint = Endpoint.MESSAGES,
    **options: Any,
) -> Any:
    """What admission makes of a call."""
    request: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 10}
    request["messages"] = [{"role": "user", "content": prompt}]
    if endpoint is Endpoint.RESPONSES:
        request = {"model": "gpt-5-mini", "input": prompt}
    ours = {"tier": "batch", **options} | ({"idempotency_key": key} if key else {})
    return admission.decide(
        endpoint=endpoint,
        task_id=task_id,
        args=(),
        kwargs={"request": request, "options": ours},
        eta=None,
        expires=None,
        now=NOW,
        rules=RULES,
    )


def a_message(task_id: str = "task-1", *, context: str = "") -> Message:
    """A Celery message of a plain call; `context` stands for the canvas around it."""
    return Message(
        task_id=task_id,
        task_name="unhurried.messages.v1",
        context_digest=hashlib.sha256(context.encode()).digest(),
        headers=json.dumps({"id": task_id, "task": "unhurried.messages.v1"}).encode(),
        properties=b"{}",
        body=b"[[], {}, {}]",
        content_type="application/json",
        content_encoding="utf-8",
        group_id=None,
        root_id=task_id,
        in_chord=False,
        ignore_result=False,
        origin=None,
    )


def an_admission(task_id: str = "task-1", *, context: str = "", **wishes: Any) -> Admission:
    """A message and the job it asks for."""
    return Admission(
        message=a_message(task_id, context=context), decision=a_draft(task_id, **wishes)
    )


def an_answer(output: str = "Fine.", *, finish: Finish = Finish.ANSWERED) -> Answered:
    """An answer of a few tokens."""
    return Answered(
        finish=finish,
        output=output,
        usage=Usage(input_tokens=10, output_tokens=3),
        model="claude-haiku-4-5",
        request_id="req_1",
        body=b'{"id": "msg_1"}',
    )


def a_pack(candidates: list[Candidate], *, now: datetime) -> list[PackPlan]:
    """Packs of everything that waits, whatever its age."""
    patience = Patience(linger=timedelta(0), due_margin=timedelta(0))
    limits = {"anthropic": LIMITS, "openai": LIMITS}
    return list(plan(candidates, limits=limits, now=now, patience=patience).packs)


def a_lane() -> LaneKey:
    """The lane of `a_draft()`."""
    return LaneKey("anthropic", "default", "messages", "claude-haiku-4-5")


def uuid(number: int) -> UUID:
    """A small, readable id."""
    return UUID(int=number)
