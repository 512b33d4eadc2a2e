"""A real Prometheus with the configuration and the rules of `deploy/`, in seconds instead of minutes."""

import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dev.processes import Process
from dev.servers import free_port
from tests.deploy.tools import DEPLOY, program


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running one."""

    url: str

    def scraped(self) -> set[str]:
        """The jobs whose endpoint it reaches."""
        targets = self._asked("targets") or {"activeTargets": []}
        return {one["labels"]["job"] for one in targets["activeTargets"] if one["health"] == "up"}

    def firing(self) -> set[tuple[str, str, str]]:
        """What fires: alert, finding (empty where it has none) and severity."""
        alerts = self._asked("alerts") or {"alerts": []}
        return {
            (
                one["labels"]["alertname"],
                one["labels"].get("finding", ""),
                one["labels"]["severity"],
            )
            for one in alerts["alerts"]
            if one["state"] == "firing"
        }

    def _asked(self, path: str) -> Any:
        try:
            return json.loads(fetched(f"{self.url}/api/v1/{path}"))["data"]
        except OSError:
            return None


@contextmanager
def scraping(directory: Path, urls: Mapping[str, str]) -> Iterator[Prometheus]:
    """One that scrapes each job of our configuration at that job's address, until the end of the block."""
    directory.mkdir()
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))
    config["global"] = dict.fromkeys(config["global"], "1s")
    for scraped in config["scrape_configs"]:
        target = urls[scraped["job_name"]].removeprefix("http://")
        scraped["static_configs"] = [{"targets": [target]}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    rules = (DEPLOY / "alerts.yml").read_text("utf-8")
    (directory / "alerts.yml").write_text(shortened(rules), "utf-8")
    port = free_port()
    process = Process(
        name="prometheus",
        command=[
            program("prometheus"),
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        log=directory / "prometheus.log",
        environment={},
        directory=directory,
    )
    with process:
        yield Prometheus(f"http://127.0.0.1:{port}")


def shortened(rules: str) -> str:
    """The same rules, evaluated each second and with a patience of one; nothing else of them is touched."""
    return re.sub(r"\bfor: \d+m", "for: 1s", rules).replace("interval: 30s", "interval: 1s")


def fetched(url: str) -> str:
    """What an address answers, on a busy machine slowly."""
    with urllib.request.urlopen(url, timeout=60) as reply:
        found: str = reply.read().decode()
        return found
