"""What stands, as gauges: counts by closed sets, and ages as of a moment. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, TypeVar

from app.observe.catalogue import PROVIDERS
from app.policy.classify import classify
from app.policy.findings import SEVERITIES
from app.policy.health import Health
from app.policy.lifecycle import SubmissionState
from app.policy.standing import Limits, Standing
from unhurried.contract import Tier

#: Values of labels, in the catalogue's order.
Labels = tuple[str, ...]
#: By the metric's name, then by labels.
Gauges = Mapping[str, Mapping[Labels, float]]

#: A direct call waits in Celery's own queue: Flower's broker page has its length.
_QUEUED: Final = (Tier.NEAR_REAL_TIME, Tier.BATCH)

_T = TypeVar("_T")


def findings(
    standings: Iterable[tuple[Standing, datetime]], limits: Limits
) -> Mapping[Labels, float]:
    """How many findings of each name and severity there are, zeros included, judged as of these moments."""
    found: dict[Labels, float] = {
        (str(name), str(severity)): 0.0
        for name, severities in SEVERITIES.items()
        for severity in severities
    }
    for standing, at in standings:
        for one in classify(standing, at, limits).verdict.findings:
            found[str(one.name), str(one.severity)] += 1
    return found


def of(standing: Standing, *, read_at: datetime, now: datetime, limits: Limits) -> Gauges:
    """Every other gauge of the catalogue.

    Counts are as of the reading, and so is health: a reading that grows old makes no batch stuck.
    """
    return {
        "batches": _batches(standing, read_at, limits),
        **_running(standing, now),
        **_queues(standing, now),
        **_unread(standing, now),
        "round_last_success_timestamp_seconds": {
            (one.name,): one.succeeded_at.timestamp()
            for one in standing.rounds
            if one.succeeded_at is not None
        },
    }


def _batches(standing: Standing, at: datetime, limits: Limits) -> Mapping[Labels, float]:
    counts = Counter(
        (one.batch.provider, str(one.health)) for one in classify(standing, at, limits).batches
    )
    shown: dict[Labels, float] = {
        (provider, str(health)): 0.0 for provider in PROVIDERS for health in Health
    }
    return shown | {labels: float(count) for labels, count in counts.items()}


def _running(standing: Standing, now: datetime) -> Gauges:
    running = [one for one in standing.batches if one.state is SubmissionState.ACCEPTED]
    oldest = _first(running, lambda one: one.provider, lambda one: one.sent_at or one.created_at)
    looked = _first(
        running, lambda one: one.provider, lambda one: one.observed_at or one.accepted_at
    )
    due = _first(standing.next_due.items(), lambda one: one[0][0], lambda one: one[1])
    return {
        "batch_oldest_age_seconds": _ages(oldest, PROVIDERS, now),
        "batch_due_margin_seconds": {(key,): (at - now).total_seconds() for key, at in due.items()},
        "batch_last_look_timestamp_seconds": {(key,): at.timestamp() for key, at in looked.items()},
    }


def _queues(standing: Standing, now: datetime) -> Gauges:
    depth = dict.fromkeys(_QUEUED, 0)
    for queue in standing.queues:
        depth[queue.tier] = depth.get(queue.tier, 0) + queue.waiting_count
    oldest = _first(standing.queues, lambda one: str(one.tier), lambda one: one.oldest_at)
    return {
        "queue_depth": {(str(tier),): float(count) for tier, count in depth.items()},
        "queue_oldest_age_seconds": _ages(oldest, map(str, _QUEUED), now),
        "unadmitted": {(): float(standing.admission.unadmitted_count)},
    }


def _unread(standing: Standing, now: datetime) -> Gauges:
    oldest = min((one.oldest_at for one in standing.unread), default=now)
    found: dict[str, Mapping[Labels, float]] = {
        "results_unread": {(): float(sum(one.count for one in standing.unread))},
        "result_unread_age_seconds": {(): max((now - oldest).total_seconds(), 0)},
    }
    expires_at = min((one.expires_at for one in standing.unread), default=None)
    if expires_at is not None:
        found["result_expiry_margin_seconds"] = {(): (expires_at - now).total_seconds()}
    return found


def _first(
    things: Iterable[_T], key: Callable[[_T], str], moment: Callable[[_T], datetime | None]
) -> dict[str, datetime]:
    """The earliest moment by key."""
    found: dict[str, datetime] = {}
    for one in things:
        at = moment(one)
        if at is not None:
            found[key(one)] = min(at, found.get(key(one), at))
    return found


def _ages(
    oldest: Mapping[str, datetime], keys: Iterable[str], now: datetime
) -> Mapping[Labels, float]:
    """Ages by key, 0 where there is none; clocks may differ, and no age is negative."""
    return {
        (key,): max((now - oldest[key]).total_seconds(), 0) if key in oldest else 0.0
        for key in keys
    }
