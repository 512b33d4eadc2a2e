"""Every metric there is: name, labels, and what it says. docs/metrics.md and the alert rules use these names.

Labels are closed sets, but for `model`, of which the ledger tells at most fifty. No id, tenant, account,
consumer, key or address is ever one: `/metrics` asks nobody for a password.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final

from app.policy.lifecycle import ENDED
from unhurried.contract import Tier

PREFIX: Final = "unhurried_"

PROVIDERS: Final = ("anthropic", "openai")

#: Upper bounds of histograms, as the ledger's triggers have them. An observation of one is under `le`.
HOURS: Final = (60.0, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 64800, 86400)
SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
JOBS: Final = (1.0, 10, 100, 1000, 10000, 25000, 50000, 100000)


class Kind(StrEnum):
    """What Prometheus calls it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One metric."""

    #: Without the prefix, and without a counter's `_total`.
    name: str
    kind: Kind
    labels: tuple[str, ...] = ()
    says: str
    #: Of a counter: what one of it is of the ledger's total; None counts occurrences.
    unit: float | None = None
    #: Of a histogram; by tier where they differ.
    bounds: tuple[float, ...] = ()

    @property
    def exposed(self) -> str:
        """The name as Prometheus shows it, without `_bucket`, `_sum` and `_count`."""
        total = "_total" if self.kind is Kind.COUNTER else ""
        return f"{PREFIX}{self.name}{total}"


def _counter(name: str, labels: str, says: str, *, unit: float | None = None) -> Metric:
    return Metric(name=name, kind=Kind.COUNTER, labels=tuple(labels.split()), says=says, unit=unit)


def _gauge(name: str, labels: str, says: str) -> Metric:
    return Metric(name=name, kind=Kind.GAUGE, labels=tuple(labels.split()), says=says)


def _histogram(name: str, labels: str, bounds: tuple[float, ...], says: str) -> Metric:
    labels_found = tuple(labels.split())
    return Metric(name=name, kind=Kind.HISTOGRAM, labels=labels_found, says=says, bounds=bounds)


_NANO: Final = 1e-9

#: Sums of the ledger (`app.ledger.measures`), under these very names.
SUMS: Final = (
    _counter(
        "jobs_queued", "tier", "Jobs that began to wait: admitted, moved to this tier, or again."
    ),
    _counter("jobs_opened", "tier", "Jobs that left the queue: an attempt of them was opened."),
    _counter("jobs_ended", "tier state", "Jobs that came to their end."),
    _counter("jobs_escalated", "from_tier to_tier", "Jobs that changed their tier."),
    _counter("batches_submitted", "provider model reason", "Batches that a provider took."),
    _counter("batches_ended", "provider model outcome", "Submissions that came to their end."),
    _counter("batch_attempts", "provider model outcome", "Lines of batches that are settled."),
    _counter("tokens", "provider model tier type", "Tokens as billed.", unit=1),
    _counter(
        "cost_usd", "provider model tier", "US dollars of lines with a known price.", unit=_NANO
    ),
    _counter(
        "savings_usd",
        "provider model tier",
        "Estimate: US dollars that the same answers would have cost more at once.",
        unit=_NANO,
    ),
    _counter("lines_unpriced", "provider model tier", "Billed lines whose price nobody knows."),
    _counter(
        "results_expired_unread",
        "tier",
        "Results that Redis forgot before somebody picked them up.",
    ),
    _counter(
        "provider_requests",
        "provider operation reply code",
        "Requests to providers, by what they said; a kill loses the last second's.",
    ),
    _histogram(
        "batch_processing_duration_seconds", "provider model", HOURS, "Sent until ended there."
    ),
    _histogram(
        "batch_fill_duration_seconds", "provider reason", HOURS, "Oldest job ready until packed."
    ),
    _histogram(
        "batch_collect_duration_seconds", "provider", HOURS, "Ended there until settled whole here."
    ),
    _histogram("batch_size_jobs", "provider", JOBS, "Jobs of batches that a provider took."),
    _histogram("job_wait_seconds", "tier", (), "Ready until an attempt was opened."),
    _histogram("job_end_to_end_seconds", "tier", (), "Published until ended."),
    _histogram(
        "result_pick_up_seconds", "tier", HOURS, "Ended until picked up, once for each reader."
    ),
)

#: What stands now. Ages grow from scrape to scrape also while the ledger cannot be read.
GAUGES: Final = (
    _gauge("findings", "finding severity", "What ops should know; docs/alerts.md says what to do."),
    _gauge("batches", "provider health", "Batches under way or collected lately, by health."),
    _gauge("batch_oldest_age_seconds", "provider", "Age of the oldest batch that runs; 0: none."),
    _gauge(
        "batch_due_margin_seconds", "provider", "Least time left to a due time; negative: missed."
    ),
    _gauge("batch_last_look_timestamp_seconds", "provider", "Last good look at the stalest batch."),
    _gauge(
        "queue_depth",
        "tier",
        "Jobs that are ready and that no provider has taken; `sync` waits in Redis alone.",
    ),
    _gauge("queue_oldest_age_seconds", "tier", "How long the oldest of them has waited; 0: none."),
    _gauge("unadmitted", "", "Messages that callers have published and that are in Redis alone."),
    _gauge("results_unread", "", "Results that somebody awaits and nobody has picked up."),
    _gauge("result_unread_age_seconds", "", "Age of the oldest of them; 0: none."),
    _gauge(
        "result_expiry_margin_seconds", "", "Until Redis forgets the first of them; absent: none."
    ),
    _gauge("round_last_success_timestamp_seconds", "round", "When a worker's look last succeeded."),
    _gauge("linger_seconds", "", "The setting: how long a short pack waits for company."),
    _gauge("pick_up_within_seconds", "", "The setting: how soon results are to be picked up."),
    _gauge("poll_interval_seconds", "", "The setting: the longest between two looks at a batch."),
    _gauge("metrics_interval_seconds", "", "The setting: how often the ledger is read for this."),
)

#: Of whoever answers the scrape.
OWN: Final = (
    _gauge("monitor_up", "", "1 where the last reading of the ledger succeeded."),
    _gauge("monitor_snapshot_timestamp_seconds", "", "When the ledger was last read."),
    _gauge("build_info", "version", "Always 1."),
)

#: Rates need a counter to be there before it counts.
_KNOWN: Final = {
    "tier": tuple(map(str, Tier)),
    "provider": PROVIDERS,
    "state": tuple(sorted(ENDED)),
}

ALL: Final = (*SUMS, *GAUGES, *OWN)


def bounds(metric: Metric, tier: str | None) -> tuple[float, ...]:
    """A histogram's bounds; those of what users wait for are seconds."""
    if metric.bounds:
        return metric.bounds
    return HOURS if tier == "batch" else SECONDS


def zeros(metric: Metric) -> tuple[tuple[str, ...], ...]:
    """The labels under which a sum is shown also where it is 0: those whose every value is known before."""
    if not set(metric.labels) <= _KNOWN.keys():
        return ()
    return tuple(product(*(_KNOWN[name] for name in metric.labels)))
