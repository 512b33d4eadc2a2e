"""What rules and dashboard name is what the collector exports, by those labels; and the pages say all of it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from app.observe.catalogue import ALL, Kind
from app.policy.findings import SEVERITIES, FindingName, Severity
from tests.deploy.tools import DEPLOY, names
from tests.docs.tree import page

RULES = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "dashboard.json").read_text("utf-8"))

#: What a selector and an aggregation name: `{a="b", c=~"d"}`, `by (a, b)`, `on (a)`.
_MATCHERS = re.compile(r"(unhurried[_:][a-z0-9_:]+)\{([^}]*)\}")
_LABEL = re.compile(r"(\w+)\s*[=!]")
_GROUPED = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
#: Prometheus's own, and what every endpoint gets from it.
_OF_PROMETHEUS = {"le", "job", "instance"}


def series() -> dict[str, set[str]]:
    """Every series that a scrape holds or a recording makes, with its labels."""
    found = {}
    for metric in ALL:
        if metric.kind is Kind.HISTOGRAM:
            for end in ("bucket", "sum", "count"):
                found[f"{metric.exposed}_{end}"] = {*metric.labels, *_OF_PROMETHEUS}
        else:
            found[metric.exposed] = {*metric.labels, *_OF_PROMETHEUS}
    found["unhurried:findings"] = {"finding", "severity"}
    found["unhurried:queue_depth"] = {"tier"}
    found["unhurried:queue_trough:1h"] = {"tier"}
    return found


def expressions() -> Iterator[str]:
    """All that is written in PromQL."""
    yield from (rule["expr"] for rule in RULES)
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (one["expr"] for one in DASHBOARD["annotations"]["list"])


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_names_what_there_is(expression: str) -> None:
    """
    Metrics, and the labels that it picks or groups by.
    """
    known = series()
    found = names(expression)

    assert found
    assert set() == found - known.keys()
    for name, matchers in _MATCHERS.findall(expression):
        assert set(_LABEL.findall(matchers)) <= known[name], name
    labels = {
        label.strip() for several in _GROUPED.findall(expression) for label in several.split(",")
    }
    assert labels - {""} <= set().union(*(known[name] for name in found))


def test_recordings_are_those_that_are_known() -> None:
    """
    A recording that is renamed is renamed everywhere.
    """
    recorded = {rule["record"] for rule in RULES if "record" in rule}

    assert recorded == {name for name in series() if ":" in name}


def test_rules_name_findings_that_there_are() -> None:
    """
    A finding that is renamed takes its alert along.
    """
    known = {str(name) for name in FindingName}
    named = set()
    for rule in RULES:
        for word in re.findall(r'finding!?=~?"([^"]*)"', rule["expr"]):
            named |= set(word.split("|"))

    assert named - known == {".+_silent"}
    assert any(name.endswith("_silent") for name in known)


def test_every_finding_that_asks_for_somebody_has_an_alert() -> None:
    """
    By its severity: info opens nothing, attention a ticket, stuck a page.
    """
    for name, severities in SEVERITIES.items():
        for severity in severities:
            opened = {
                rule["labels"]["severity"] for rule in RULES if _may_fire(rule, name, severity)
            }
            wanted = {
                Severity.INFO: set(),
                Severity.ATTENTION: {"ticket"},
                Severity.STUCK: {"page"},
            }
            assert wanted[severity] == opened, (name, severity)


def _may_fire(rule: dict[str, Any], name: FindingName, severity: Severity) -> bool:
    """Whether an alert's own selector, before any `unless`, takes a finding."""
    selector = re.match(r"unhurried:findings\{([^}]*)\}", rule["expr"])
    if "alert" not in rule or selector is None:
        return False
    for label, how, wanted in re.findall(r'(\w+)(=~|!~|=)"([^"]*)"', selector.group(1)):
        value = str(name if label == "finding" else severity)
        matches = re.fullmatch(wanted, value) is not None
        if matches == (how == "!~"):
            return False
    return True


def test_every_alert_has_a_place_in_the_runbook() -> None:
    """
    Its `runbook` is a heading of docs/alerts.md, and every heading of an alert there has one.
    """
    alerts = [rule for rule in RULES if "alert" in rule]
    headings = re.findall(r"^### (Unhurried\w+)$", page("docs/alerts.md"), re.MULTILINE)

    assert sorted(rule["alert"] for rule in alerts) == sorted(headings)
    for rule in alerts:
        assert f"docs/alerts.md#{rule['alert'].lower()}" == rule["annotations"]["runbook"]
        assert {"summary", "description", "runbook"} == rule["annotations"].keys()


def test_every_finding_has_a_row_in_the_runbook() -> None:
    """
    With the severities that it may have.
    """
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", page("docs/alerts.md"), re.MULTILINE)

    assert {name: said for name, said in rows if name in set(FindingName)} == {
        str(name): ", ".join(str(one) for one in severities)
        for name, severities in SEVERITIES.items()
    }


def test_every_metric_has_a_row() -> None:
    """
    docs/metrics.md has name, type, labels and words of the catalogue, in its order.
    """
    rows = re.findall(
        r"^\| `(unhurried_\w+)` \| (\w+) \| ([^|]*?) \| ([^|]*?) \|$",
        page("docs/metrics.md"),
        re.MULTILINE,
    )

    assert rows == [
        (
            metric.exposed,
            str(metric.kind),
            ", ".join(f"`{label}`" for label in metric.labels) or "-",
            metric.says,
        )
        for metric in ALL
    ]


def test_panels_stand_beside_each_other() -> None:
    """
    None overlaps another, and ids are their own.
    """
    panels = DASHBOARD["panels"]
    cells = [
        (x, y)
        for panel in panels
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len(panels) == len({panel["id"] for panel in panels})
