"""One service with everything that looks at it, and somebody who asks each whether they say the same."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import psycopg
from playwright.sync_api import Browser

from app.flower.words import SEVERITY_WORDS, VERDICT_WORDS
from dev.stack import ROOT, Stack
from tests.deploy.prometheus import Prometheus, fetched
from tests.flower.browser import looking, texts
from tests.road.callers import Caller
from tests.support.waiting import wait_until

#: Busy machines start a command slowly.
_COMMAND_S: Final = 120
#: Everything has to agree this long after the last of them could.
WITHIN_S: Final = 120.0
_EXIT_CODES: Final = {"ok": 0, "attention": 1, "stuck": 2}
_ALERTS: Final = {"attention": "ticket", "stuck": "page"}
#: What is another a moment later: spans, and the last request that failed.
_FLEETING: Final = re.compile(r"\d+ (d|h|min|s)( \d+ (h|min|s))?|req_\w+")
_SAMPLE: Final = re.compile(
    r'^unhurried_findings\{finding="(\w+)",severity="(\w+)"\} (\S+)$', re.MULTILINE
)

Finding = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreed:
    """What all of them said: the command's object, and that of the page."""

    command: Any
    page: Any

    def finding(self, name: str) -> Any:
        """The only one of that name."""
        (found,) = (one for one in self.command["findings"] if one["name"] == name)
        return found


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A service and those who look at it."""

    stack: Stack
    caller: Caller
    prometheus: Prometheus
    browser: Browser
    complaints: list[str]
    #: Keys that no two tests share.
    numbers: Iterator[int]

    def agree(self, findings: Mapping[str, str], *alerts: tuple[str, str]) -> Agreed:
        """Wait until each says just these findings, by severity, and just these (alert, finding) fire.

        Command, its exit code, page, its JSON, both endpoints of metrics and the alerts of a Prometheus.
        """
        severities = {
            name: _ALERTS[severity] for name, severity in findings.items() if severity in _ALERTS
        }
        fires = {(alert, name, severities[name]) for alert, name in alerts}
        found: list[Agreed] = []
        said = ""

        def agreed() -> bool:
            nonlocal said
            said = next(self._differences(findings, fires, found), "")
            return not said

        try:
            wait_until(agreed, within_s=WITHIN_S, what=f"all to say {dict(findings)}")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{said}") from None
        return found[-1]

    def _differences(
        self, findings: Mapping[str, str], fires: set[tuple[str, str, str]], found: list[Agreed]
    ) -> Iterator[str]:
        """What is not so, what is cheap to ask first; nothing is asked beyond the first difference."""
        shown = {one["name"]: one["severity"] for one in self.page("batches")["findings"]}
        if shown != findings:
            yield f"the page shows {shown}"
        for url in (self.stack.exporter_url, self.stack.flower_url):
            measured = measured_findings(fetched(f"{url}/metrics"))
            if measured != Counter(findings.items()):
                yield f"{url}/metrics has {dict(measured)}"
        firing = self.prometheus.firing()
        if firing != fires:
            yield f"what fires is {sorted(firing)}, not {sorted(fires)}"
        code, command = self.command("status")
        page = self.page("batches")
        if _timeless(command["findings"]) != _timeless(page["findings"]):
            yield f"the command says {command['findings']}, the page {page['findings']}"
        verdicts = (command["verdict"], command["exit_code"], _EXIT_CODES[page["verdict"]])
        if verdicts != (page["verdict"], code, code):
            yield f"the command ends with {code} and says {verdicts}"
        read, meant = self.read_in_the_browser(), _readable(command)
        # Ids and links follow a finding's name.
        if len(read) != len(meant) or not all(map(str.startswith, read, meant)):
            yield f"a person reads {read}, not {meant}"
        found.append(Agreed(command=command, page=page))

    def page(self, name: str) -> Any:
        """A page of Flower's, as a program reads it."""
        return json.loads(fetched(f"{self.stack.flower_url}/{name}?json=1"))

    def command(self, *words: str) -> tuple[int, Any]:
        """`celery -A app unhurried ... --json` in the root of the checkout: its exit code, and what it said."""
        done = self._run("celery", "-A", "app", "unhurried", *words, "--json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def commands(self, *names: str) -> dict[str, Any]:
        """Several commands that list, by name: `{"code", "told"}` each."""
        done = self._run("tests.agreement.commands", *names)
        assert 0 == done.returncode, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *words],
            env=self.stack.variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
        )

    def read_in_the_browser(self, path: str = "batches") -> list[str]:
        """The headline, and the first line of each finding without what is fleeting."""
        with looking(self.browser, complaints=self.complaints) as page:
            page.goto(f"{self.stack.flower_url}/{path}")
            headline = page.inner_text(".unhurried-verdict h1")
            lines = texts(page, ".unhurried-verdict li p:first-child")
        return [headline, *(_FLEETING.sub("?", line) for line in lines)]

    def publish(self) -> str:
        """A chord of two calls for the hourly report; its key."""
        key = f"agreement-{next(self.numbers)}"
        process = self.caller.start(f"leaving.{key}", "leaving.py", key)
        assert 0 == process.wait(within_s=_COMMAND_S), process.tail()
        return key

    def reported(self, key: str) -> bool:
        """Whether the caller's worker has run the report."""
        return any(run["name"] == key for run in self.caller.events("hourly_report"))

    def await_report(self, key: str) -> None:
        """Wait until it has."""
        wait_until(lambda: self.reported(key), within_s=WITHIN_S, what="the report to run")

    @contextmanager
    def faults(self) -> Iterator[Callable[..., None]]:
        """What is armed by the callable befalls the simulated providers until the end of the block."""

        def arm(fault: str, **fields: Any) -> None:
            self._simulator("POST", {"fault": fault, "times": 1_000_000, **fields})

        try:
            yield arm
        finally:
            self._simulator("DELETE")

    def _simulator(self, method: str, body: Mapping[str, Any] | None = None) -> None:
        data = json.dumps(body).encode() if body is not None else None
        with urlopen(Request(f"{self.stack.simulator_url}/_faults", data, method=method)) as reply:
            assert reply.status < 300

    def write(self, statement: str, **values: str) -> int:
        """Run a statement on the ledger; how many rows it changed, or found."""
        plain = self.stack.variables["UNHURRIED_DATABASE_URL"].replace("+psycopg", "")
        with closing(psycopg.connect(plain, autocommit=True)) as connection:
            return connection.execute(statement.encode(), values).rowcount


def measured_findings(metrics: str) -> Counter[tuple[str, str]]:
    """Findings by name and severity, those that there are."""
    return Counter(
        {
            (name, severity): int(float(n))
            for name, severity, n in _SAMPLE.findall(metrics)
            if float(n)
        }
    )


def _timeless(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """All that is said of them but what is fleeting."""
    return [{**one, "sentence": _FLEETING.sub("?", one["sentence"])} for one in findings]


def _readable(command: Any) -> list[str]:
    """What a person is to read of what a command has said."""
    headline, _ = VERDICT_WORDS[command["verdict"]]
    lines = [_line(one) for one in _timeless(command["findings"])]
    return [headline, *(lines or ["Nothing is found that anybody should know."])]


def _line(one: Finding) -> str:
    return f"{SEVERITY_WORDS[one['severity']]}: {one['sentence']}. {one['name']}"


def numbers() -> Iterator[int]:
    """1, 2, 3."""
    return count(1)


def answers(url: str) -> int:
    """The status of an address; 0 where nobody listens."""
    try:
        with urlopen(url, timeout=10) as reply:
            return int(reply.status)
    except HTTPError as error:
        return error.code
    except URLError:
        return 0
