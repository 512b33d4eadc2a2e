"""A promtool test out of a timeline: what the collector shows each minute, and what is to fire.

The samples are those of production's classify and collector; nothing of them is written down here.
"""

from collections import defaultdict
from itertools import groupby
from typing import Any, Final

from app.observe.gauges import Gauges
from app.observe.metrics import LedgerCollector
from app.observe.reading import Reading, Seen
from app.policy.classify import classify
from app.policy.findings import Severity
from tests.deploy.timelines import LIMITS, PAGE, TICKET, Timeline, moment
from tests.deploy.tools import DEPLOY, names

#: A finding is as old as this before page, ticket and command have to agree: the longest `for`, and a bit.
_SETTLED_MINUTES: Final = 8
_EVERY_MINUTES: Final = 5
_OF: Final = {Severity.STUCK: PAGE, Severity.ATTENTION: TICKET}
#: What no sample is for: the series has ended.
_NONE: Final = "_"


class _Told:
    """A monitor that is told what it has seen."""

    def __init__(self) -> None:
        self.now = Seen(reading=None, age_s=0)

    def seen(self) -> Seen:
        return self.now


def a_test(name: str, timeline: Timeline) -> dict[str, Any]:
    """The test of one story, as promtool takes it."""
    return {
        "name": name,
        "interval": "1m",
        "input_series": [
            {"series": series, "values": _written(values)}
            for series, values in _series(timeline).items()
        ],
        "promql_expr_test": [*_by_hand(timeline), *_agreeing(timeline)],
    }


def _series(timeline: Timeline) -> dict[str, list[str]]:
    monitor = _Told()
    settings: Gauges = {"metrics_interval_seconds": {(): 15.0}}
    collector = LedgerCollector(monitor, limits=LIMITS, settings=settings, version="0")
    used = names((DEPLOY / "alerts.yml").read_text("utf-8"))
    found: dict[str, list[str]] = defaultdict(lambda: [_NONE] * (timeline.minutes + 1))
    for minute in range(timeline.minutes + 1):
        standing = timeline.at(minute)
        if standing is None:
            continue
        if standing.ledger_error is None:
            reading = Reading(at=moment(minute), standing=standing)
            monitor.now = Seen(reading=reading, age_s=0)
        else:
            last = monitor.now.reading
            monitor.now = Seen(reading=last, age_s=60, failed=standing)
        for family in collector.collect():
            for sample in family.samples if family.name in used else ():
                labels = ", ".join(f'{key}="{value}"' for key, value in sample.labels.items())
                both = f'job="unhurried", instance="a"{", " if labels else ""}{labels}'
                value = sample.value
                if sample.name == "unhurried_monitor_snapshot_timestamp_seconds":
                    # promtool's clock begins at 0.
                    value -= moment(0).timestamp()
                found[f"{sample.name}{{{both}}}"][minute] = f"{value:g}"
    return found


def _written(values: list[str]) -> str:
    """Values as promtool's notation has them: repetitions are counted."""
    runs = [(value, len(list(group))) for value, group in groupby(values)]
    return " ".join(
        f"{value}x{count - 1}" if value != _NONE else f"_x{count}" for value, count in runs
    )


def _by_hand(timeline: Timeline) -> list[dict[str, Any]]:
    return [
        {
            "expr": 'group by (alertname, severity) (ALERTS{alertstate="firing"})',
            "eval_time": f"{minute}m",
            "exp_samples": [
                {"labels": f'{{alertname="{alert}", severity="{severity}"}}', "value": 1}
                for alert, severity in sorted(alerts)
            ],
        }
        for minute, alerts in timeline.fires.items()
    ]


def _agreeing(timeline: Timeline) -> list[dict[str, Any]]:
    """Wherever what is found has been the same for a while, alerts are of its severities, and of no others."""
    tests = []
    for minute in range(_SETTLED_MINUTES, timeline.minutes, _EVERY_MINUTES):
        lately = [_severities(timeline, at) for at in range(minute - _SETTLED_MINUTES, minute + 1)]
        if None in lately or any(one != lately[0] for one in lately) or lately[0] is None:
            continue
        tests.append(
            {
                "expr": 'group by (severity) (ALERTS{alertstate="firing"})',
                "eval_time": f"{minute}m",
                "exp_samples": [
                    {"labels": f'{{severity="{_OF[severity]}"}}', "value": 1}
                    for severity in sorted(lately[0])
                    if severity in _OF
                ],
            }
        )
    assert tests, "a story in which nothing ever settles says nothing"
    return tests


def _severities(timeline: Timeline, minute: int) -> frozenset[Severity] | None:
    standing = timeline.at(minute)
    if standing is None:
        return None
    judged = classify(standing, moment(minute), LIMITS)
    return frozenset(one.severity for one in judged.verdict.findings)
