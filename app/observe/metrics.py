"""Metrics for Prometheus, out of the last reading of the ledger: a scrape never asks the ledger itself."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import inf
from typing import Final

from prometheus_client import Metric as Family
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from app.observe import gauges
from app.observe.catalogue import GAUGES, OWN, PREFIX, SUMS, Kind, Metric, bounds, zeros
from app.observe.gauges import Gauges, Labels
from app.observe.reading import Monitor, Seen, Sum
from app.policy.standing import Limits, Standing

#: A standing that could not be read is judged the same at any moment.
_ANY: Final = datetime.fromtimestamp(0, UTC)
_NOT_TOLD: Final = "unknown"


class LedgerCollector(Collector):
    """Every metric of the catalogue. Ages are worked out at the scrape, from moments that were read."""

    def __init__(self, monitor: Monitor, *, limits: Limits, settings: Gauges, version: str) -> None:
        """`settings` are gauges that never change."""
        self._monitor = monitor
        self._limits = limits
        self._settings = settings
        self._version = version

    def describe(self) -> Iterable[Family]:
        """Nothing, so that being registered asks for no reading."""
        return []

    def collect(self) -> Iterator[Family]:
        """What a scrape is answered with."""
        seen = self._monitor.seen()
        found: dict[str, Mapping[Labels, float]] = {
            "monitor_up": {(): float(seen.up)},
            "build_info": {(self._version,): 1.0},
            "findings": gauges.findings(self._standings(seen), self._limits),
            **self._settings,
        }
        reading = seen.reading
        if reading is not None:
            found["monitor_snapshot_timestamp_seconds"] = {(): reading.at.timestamp()}
            now = reading.at + timedelta(seconds=seen.age_s)
            found |= gauges.of(reading.standing, read_at=reading.at, now=now, limits=self._limits)
            yield from _sums(reading.sums)
        for metric in (*GAUGES, *OWN):
            if metric.name in found:
                yield _gauge(metric, found[metric.name])

    def _standings(self, seen: Seen) -> Iterator[tuple[Standing, datetime]]:
        """What is judged: while nothing can be read, nothing that was found is known to be better."""
        if seen.reading is not None:
            yield seen.reading.standing, seen.reading.at
        if seen.failed is not None:
            yield seen.failed, _ANY


def _sums(sums: Iterable[Sum]) -> Iterator[Family]:
    by_name: dict[str, list[Sum]] = defaultdict(list)
    for one in sums:
        by_name[one.name].append(one)
    for metric in SUMS:
        make = _counter if metric.kind is Kind.COUNTER else _histogram
        yield make(metric, by_name[metric.name])


def _gauge(metric: Metric, values: Mapping[Labels, float]) -> Family:
    family = GaugeMetricFamily(PREFIX + metric.name, metric.says, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _counter(metric: Metric, sums: Iterable[Sum]) -> Family:
    family = CounterMetricFamily(PREFIX + metric.name, metric.says, labels=metric.labels)
    values = dict.fromkeys(zeros(metric), 0.0)
    for one in sums:
        labels = _labels(metric, one)
        grown = one.count if metric.unit is None else one.total * metric.unit
        values[labels] = values.get(labels, 0.0) + grown
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, sums: Iterable[Sum]) -> Family:
    family = HistogramMetricFamily(PREFIX + metric.name, metric.says, labels=metric.labels)
    counts: dict[Labels, dict[float, int]] = {labels: {} for labels in zeros(metric)}
    totals: dict[Labels, float] = defaultdict(float)
    for one in sums:
        labels = _labels(metric, one)
        under = counts.setdefault(labels, {})
        under[one.le] = under.get(one.le, 0) + one.count
        totals[labels] += one.total
    for labels, under in counts.items():
        tier = dict(zip(metric.labels, labels, strict=True)).get("tier")
        # Bounds that an earlier version counted by stay: its observations are under them.
        ordered = sorted({*bounds(metric, tier), *under, inf})
        grown = accumulate(under.get(le, 0) for le in ordered)
        buckets = [(_written(le), float(count)) for le, count in zip(ordered, grown, strict=True)]
        family.add_metric(labels, buckets, totals[labels])
    return family


def _labels(metric: Metric, one: Sum) -> Labels:
    others = iter(one.labels)
    # What an earlier version counted lacks the labels that were added at the end since.
    return tuple(
        one.model if name == "model" else next(others, _NOT_TOLD) for name in metric.labels
    )


def _written(le: float) -> str:
    return "+Inf" if le == inf else repr(float(le))
