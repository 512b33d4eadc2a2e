"""A real Prometheus over a real exporter and a real Flower: what the ledger holds becomes an alert."""

import json
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from dev.processes import Process
from dev.servers import free_port
from dev.stack import ROOT, Stack
from tests.deploy.prometheus import Prometheus, fetched, scraping
from tests.support import answering
from tests.support.factories import an_admission
from tests.support.waiting import wait_until

pytestmark = pytest.mark.ops

_WITHIN_S = 60
_CANARY = "canary-b7f0c1"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The two endpoints over an empty ledger, and no worker."""
    directory = tmp_path_factory.mktemp("ops")
    quick = {"UNHURRIED_METRICS_EVERY_S": "0.5"}
    with Stack(
        directory=directory,
        processes=["exporter", "flower"],
        environment=quick,
        simulator=False,
        mail=False,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(stack: Stack) -> Iterator[Prometheus]:
    """Prometheus with our configuration, in seconds instead of minutes."""
    urls = {"unhurried": stack.exporter_url, "flower": stack.flower_url}
    with scraping(stack.directory / "prometheus", urls) as running:
        yield running


def findings(text: str) -> list[str]:
    return sorted(line for line in text.splitlines() if line.startswith("unhurried_findings{"))


def status(stack: Stack) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "app.celery", "unhurried", "status", "--json"],
        cwd=ROOT,
        env=stack.variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_what_the_ledger_holds_becomes_an_alert(stack: Stack, prometheus: Prometheus) -> None:
    """
    Both endpoints are scraped. With nothing to do, silent workers are tickets; once a job waits, a page, and
    the command says the same.
    """
    wait_until(
        lambda: prometheus.scraped() == {"unhurried", "flower"},
        within_s=_WITHIN_S,
        what="Prometheus to scrape both",
    )
    idle = ("UnhurriedAttention", "beat_silent", "ticket")
    wait_until(lambda: idle in prometheus.firing(), within_s=_WITHIN_S, what="a ticket")
    assert "page" not in {severity for _, _, severity in prometheus.firing()}
    assert 1 == status(stack).returncode

    engine = create_engine(stack.variables["UNHURRIED_DATABASE_URL"])
    key = f"key-{_CANARY}"
    answering.admit(engine, [an_admission("task-1", prompt=_CANARY, key=key, subject=_CANARY)])
    engine.dispose()

    page = ("UnhurriedWorkerSilent", "beat_silent", "page")
    wait_until(lambda: page in prometheus.firing(), within_s=_WITHIN_S, what="a page")
    assert [page] == [one for one in prometheus.firing() if one[2] == "page"]
    said = status(stack)
    assert 2 == said.returncode
    assert "beat_silent" in {one["name"] for one in json.loads(said.stdout)["findings"]}


def test_both_endpoints_say_the_same(stack: Stack) -> None:
    """
    Flower shows its own metrics and ours; no prompt, key or subject is in either.
    """
    urls = (f"{stack.exporter_url}/metrics", f"{stack.flower_url}/metrics")

    def same() -> bool:
        one, other = (findings(fetched(url)) for url in urls)
        return bool(one) and one == other

    wait_until(same, within_s=_WITHIN_S, what="the same findings")
    texts = [fetched(url) for url in urls]
    assert "flower_" in texts[1]
    assert all('unhurried_jobs_queued_total{tier="batch"} 1.0' in text for text in texts)
    assert not any(_CANARY in text for text in texts)
    assert '{"status": "ready"}' == fetched(f"{stack.exporter_url}/health/ready")


def test_an_exporter_without_a_ledger_says_so(tmp_path: Path) -> None:
    """
    It starts, is live and not ready, and its metrics say that it sees nothing.
    """
    port = free_port()
    exporter = Process(
        name="exporter",
        command=[sys.executable, "-m", "tasks.exporter"],
        log=tmp_path / "exporter.log",
        environment={
            "UNHURRIED_DATABASE_URL": f"postgresql+psycopg://127.0.0.1:{free_port()}/none",
            "UNHURRIED_EXPORTER_PORT": str(port),
        },
        directory=ROOT,
    )
    url = f"http://127.0.0.1:{port}"

    def text() -> str:
        try:
            return fetched(f"{url}/metrics")
        except OSError:
            return ""

    with exporter:
        wait_until(
            lambda: 'finding="ledger_unreachable",severity="stuck"} 1.0' in text(),
            within_s=_WITHIN_S,
            what="the exporter to say that it is blind",
        )
        assert "unhurried_monitor_up 0.0" in text()
        with pytest.raises(urllib.error.HTTPError, match="503"):
            fetched(f"{url}/health/ready")
    assert "monitor_blind" in exporter.tail()
    assert "exporter_stopped" in exporter.tail()
