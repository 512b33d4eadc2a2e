"""The whole service once a run, and a caller of its own process and worker."""

import json
import os
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dev.processes import Process
from dev.stack import Stack
from tests.notify.hooks import NEW
from tests.notify.receivers import Inbox, receiving
from tests.road.matrix.asking import Cell
from tests.road.verdicts import table
from tests.support.waiting import wait_until

HERE = Path(__file__).parent
CALLER = HERE / "caller"

#: Hours in tenths of seconds, and looks at everything every half second.
HASTE = {
    "UNHURRIED_LINGER_S": "0.5",
    "UNHURRIED_PACK_EVERY_S": "0.5",
    "UNHURRIED_COLLECT_EVERY_S": "0.5",
    "UNHURRIED_POLL_MIN_S": "0.2",
    "UNHURRIED_COMPLETE_EVERY_S": "0.5",
    "UNHURRIED_NOTIFY_EVERY_S": "0.5",
    "UNHURRIED_CHORD_JOIN_TIMEOUT_S": "2",
    "UNHURRIED_COMPLETION_LEASE_S": "6",
    "UNHURRIED_RETRY_FIRST_S": "0.5",
    "UNHURRIED_INTAKE_STALE_AFTER_S": "2",
    "UNHURRIED_UPKEEP_EVERY_S": "1",
}
SPEED = ["--speed", "600"]
#: What a caller shares with the service.
_CALLERS_OWN = {"UNHURRIED_REDIS_URL", "UNHURRIED_STORAGE"}
PROCESSES = [
    "intake",
    "sync",
    "near_real_time",
    "packer",
    "collector",
    "completer",
    "notifier",
    "beat",
]


#: What came of every cell of the matrix, for the end of the run.
MATRIX: pytest.StashKey[Mapping[Cell, str]] = pytest.StashKey()

#: The matrix's own tasks, which run in every caller's worker.
STEPS = "matrix.steps"


@dataclass(frozen=True)
class Caller:
    """Another code base's processes, beside a stack."""

    stack: Stack
    log: Path
    #: Another environment's Python; None for the one the tests run in.
    python: Path | None = None
    #: The caller's own default queue.
    queue: str = "celery"
    directory: Path = CALLER
    #: The module that makes the caller's Celery app.
    app: str = "app"
    #: Settings of the caller's own.
    settings: Mapping[str, str] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> Process:
        """Run one of the caller's programs, its own `app.py` and `tasks.py` first on its path."""
        environment = {
            key: value
            for key, value in self.stack.variables.items()
            if not key.startswith("UNHURRIED_") or key in _CALLERS_OWN
        }
        environment |= {"CALLER_LOG": str(self.log), "CALLER_QUEUE": self.queue}
        environment |= {"MATRIX_LOG": str(self.matrix_log)}
        environment |= {"CALLER_APP": self.app, **self.settings}
        program = "python"
        if self.python is None:
            # The shapes of the matrix are in a package of this directory.
            environment["PYTHONPATH"] = f"{self.stack.client_path()}{os.pathsep}{HERE}"
        else:
            environment.pop("PYTHONPATH", None)
            program = str(self.python)
        return self.stack.launch(
            name, [program, *arguments], directory=self.directory, environment=environment
        )

    def worker(self, *, include: str = "") -> Process:
        """The caller's own worker, on the caller's default queue; `include` adds modules of tasks."""
        arguments = f"-m celery -A {self.app} worker -P solo -l INFO -Q {self.queue}"
        arguments += f" -n {self.queue}@%h" + (f" -I {include}" if include else "")
        process = self.start(f"{self.queue}_worker", *arguments.split())
        wait_until(lambda: " ready." in process.tail(), within_s=30, what="the caller's worker")
        return process

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the caller's tasks wrote down."""
        return [line for line in _lines(self.log) if line["event"] == name]

    @property
    def matrix_log(self) -> Path:
        """Where the matrix's own tasks write."""
        return self.log.with_suffix(".matrix.jsonl")

    def cells(self) -> list[dict[str, str]]:
        """What the matrix's own tasks wrote down, whatever the cell."""
        return _lines(self.matrix_log)


def _lines(log: Path) -> list[dict[str, Any]]:
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def inbox() -> Iterator[Inbox]:
    """The receiver of webhooks that the service knows as `crm`."""
    with receiving() as found:
        yield found


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Iterator[Stack]:
    """Every process of the service but Flower, the simulator and a mail catcher."""
    directory = tmp_path_factory.mktemp("stack")
    with Stack(
        directory=directory,
        processes=PROCESSES,
        environment=HASTE | receivers(inbox),
        simulator_options=SPEED,
    ) as running:
        yield running


def receivers(inbox: Inbox) -> dict[str, str]:
    """The settings that name one receiver."""
    return {
        "UNHURRIED_WEBHOOKS": json.dumps({"crm": {"url": inbox.url, "secrets": [NEW]}}),
        "UNHURRIED_WEBHOOK_HOSTS_ALLOWED": '["127.0.0.1"]',
    }


@pytest.fixture(scope="session")
def caller(stack: Stack) -> Caller:
    """A caller with a worker."""
    found = Caller(stack, stack.directory / "caller.jsonl")
    found.worker(include=STEPS)
    return found


def books(stack: Stack, path: str = "") -> Any:
    """What the simulated providers billed."""
    with urllib.request.urlopen(f"{stack.simulator_url}/_books{path}", timeout=30) as reply:
        return json.loads(reply.read())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the matrix, where it was run."""
    verdicts = config.stash.get(MATRIX, None)
    if verdicts is not None:
        terminalreporter.section("every canvas shape, as its caller saw it")
        for line in table(verdicts):
            terminalreporter.write_line(line)
