"""The alert rules: valid, tested by hand and by stories, and every part of them needed."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.deploy.generated import a_test
from tests.deploy.timelines import TIMELINES
from tests.deploy.tools import DEPLOY, promtool

pytestmark = pytest.mark.ops


def test_the_rules_are_valid() -> None:
    """
    Prometheus takes them, and the configuration that loads them.
    """
    for command, file in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        done = promtool("check", command, file, directory=DEPLOY)
        assert 0 == done.returncode, done.stdout + done.stderr


def test_the_scenarios_hold() -> None:
    """
    Each of deploy/alerts_test.yml.
    """
    done = promtool("test", "rules", "alerts_test.yml", directory=DEPLOY)

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", TIMELINES)
def test_alerts_say_what_the_command_says(tmp_path: Path, name: str) -> None:
    """
    A story is judged as `status` judges it and shown as it is scraped; the right alerts fire and no others.
    """
    shutil.copy(DEPLOY / "alerts.yml", tmp_path)
    test = {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": "30s",
        "tests": [a_test(name, TIMELINES[name])],
    }
    (tmp_path / "story.yml").write_text(yaml.safe_dump(test, width=10_000), "utf-8")

    done = promtool("test", "rules", "story.yml", directory=tmp_path)

    assert 0 == done.returncode, done.stdout + done.stderr


#: What a hand might do to the rules: what stands there, and what would stand there instead.
MUTATIONS = {
    "two endpoints count twice": (
        "max by (finding, severity) (unhurried_findings and on",
        "sum by (finding, severity, instance) (unhurried_findings and on",
    ),
    "whoever is blind is believed": (" and on (job, instance) (unhurried_monitor_up == 1)", ""),
    "nobody who is blind is believed": (
        "or max by (finding, severity) (unhurried_findings)",
        "",
    ),
    "an exporter that is gone is nothing": ("absent(unhurried_monitor_up)", "vector(0) == 1"),
    "an exporter that reads nothing is nothing": ("or max(unhurried_monitor_up) == 0", ""),
    "an exporter that hangs is nothing": ("> 60 + 4 *", "> 60000 + 4 *"),
    "a ledger that is down is two pages": (
        'unless on () (unhurried:findings{finding="ledger_unreachable"} > 0)',
        "",
    ),
    "a store that is gone is a page for each worker": (
        'unless on () (unhurried:findings{finding=~"ledger_unreachable|redis_unreachable"} > 0)',
        "",
    ),
    "a dead packer is two pages": (
        'unless on () (unhurried:findings{finding=~".+_silent|ledger_unreachable|redis_unreachable", severity="stuck"} > 0)',
        "",
    ),
    "an idle worker wakes somebody": (
        'finding=~".+_silent", severity="stuck"} > 0',
        'finding=~".+_silent"} > 0',
    ),
    "a batch out of reach wakes somebody": (
        "for: 5m\n        labels: {severity: ticket}\n        annotations:\n          summary: A batch cannot",
        "for: 5m\n        labels: {severity: page}\n        annotations:\n          summary: A batch cannot",
    ),
    "what is new is nothing": ('severity="stuck", finding!~', 'severity="never", finding!~'),
    "what is odd is nothing": ('severity="attention", finding!~', 'severity="never", finding!~'),
    "one look that fails is a page": ("for: 1m", "for: 0m"),
    "the depth itself is the trough": ("min_over_time", "max_over_time"),
    "results about to expire are nothing": ("results_expiring", "results_expired"),
    "one endpoint that is lost is nothing": (
        "and max(unhurried_monitor_up) == 1",
        "and max(unhurried_monitor_up) == 2",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_changed_rule_is_caught(tmp_path: Path, name: str) -> None:
    """
    The scenarios fail: no part of the rules is there for nothing.
    """
    before, after = MUTATIONS[name]
    rules = (DEPLOY / "alerts.yml").read_text("utf-8")
    assert before in rules
    (tmp_path / "alerts.yml").write_text(rules.replace(before, after), "utf-8")
    shutil.copy(DEPLOY / "alerts_test.yml", tmp_path)
    assert 0 == promtool("check", "rules", "alerts.yml", directory=tmp_path).returncode

    done = promtool("test", "rules", "alerts_test.yml", directory=tmp_path)

    assert 0 != done.returncode
