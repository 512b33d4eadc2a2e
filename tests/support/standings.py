"""How a service may stand: workers that look, batches, queues."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.policy.classify import Judgement, classify
from app.policy.lifecycle import SubmissionState
from app.policy.standing import Batch, Limits, Queue, Round, Standing
from unhurried.contract import Tier

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PERIODS = {
    "pack": 10.0,
    "collect": 10.0,
    "complete": 5.0,
    "notify": 5.0,
    "webhooks": 5.0,
    "upkeep": 60.0,
    "beat": 5.0,
    "intake": 1.0,
    "near_real_time": 10.0,
}
LIMITS = Limits(linger=timedelta(minutes=5), pick_up_within=timedelta(minutes=30), periods=PERIODS)
ANTHROPIC = ("anthropic", "default")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def looks(**spans: timedelta) -> tuple[Round, ...]:
    """Every worker has just looked, but for these."""
    return tuple(
        Round(
            name=name,
            period_s=period_s,
            started_at=NOW - spans.get(name, timedelta(0)),
            succeeded_at=NOW - spans.get(name, timedelta(0)),
        )
        for name, period_s in PERIODS.items()
    )


def a_batch(hours: float = 6, **fields: object) -> Batch:
    """A batch at Anthropic that was looked at a minute ago and counts nothing yet."""
    running = Batch(
        submission_id="s-1",
        provider="anthropic",
        account="default",
        model="claude-haiku-4-5",
        state=SubmissionState.ACCEPTED,
        jobs_count=50_000,
        created_at=ago(hours=hours),
        sent_at=ago(hours=hours),
        accepted_at=ago(hours=hours),
        provider_batch_id="msgbatch_1",
        provider_status="in_progress",
        provider_done=0,
        observed_at=ago(minutes=1),
        expires_at=ago(hours=hours - 24),
        typical=timedelta(hours=7),
    )
    return replace(running, **fields)  # type: ignore[arg-type]  # a test names fields of a batch


def a_queue(minutes: float, *, left_minutes: float | None = 1, **fields: object) -> Queue:
    found = Queue(
        tier=Tier.BATCH,
        provider="anthropic",
        account="default",
        waiting_count=20,
        oldest_at=ago(minutes=minutes),
        left_at=ago(minutes=left_minutes) if left_minutes is not None else None,
    )
    return replace(found, **fields)  # type: ignore[arg-type]  # as above


def judged(standing: Standing, now: datetime = NOW) -> Judgement:
    return classify(standing, now, LIMITS)


def names(standing: Standing, now: datetime = NOW) -> dict[str, str]:
    return {str(one.name): str(one.severity) for one in judged(standing, now).verdict.findings}
