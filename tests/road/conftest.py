"""The whole service once a run, and a caller of its own process and worker."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dev.processes import Process
from dev.stack import Stack
from tests.notify.hooks import NEW
from tests.notify.receivers import Inbox, receiving
from tests.support.waiting import wait_until

CALLER = Path(__file__).parent / "caller"

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
    "UNHURRIED_UPKEEP_EVERY_S": "2",
}
SPEED = ["--speed", "600"]
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


@dataclass(frozen=True)
class Caller:
    """Another code base's processes, beside a stack."""

    stack: Stack
    log: Path
    #: Another environment's Python; None for the one the tests run in.
    python: Path | None = None
    #: The caller's own default queue.
    queue: str = "celery"
    #: Its code base.
    directory: Path = CALLER

    def start(self, name: str, *arguments: str) -> Process:
        """Run one of the caller's programs, its own `app.py` and `tasks.py` first on its path."""
        environment = {
            key: value
            for key, value in self.stack.variables.items()
            if not key.startswith("UNHURRIED_") or key == "UNHURRIED_REDIS_URL"
        }
        environment |= {"CALLER_LOG": str(self.log), "CALLER_QUEUE": self.queue}
        program = "python"
        if self.python is None:
            environment["PYTHONPATH"] = str(self.stack.client_path())
        else:
            environment.pop("PYTHONPATH", None)
            program = str(self.python)
        return self.stack.launch(
            name, [program, *arguments], directory=self.directory, environment=environment
        )

    def worker(self) -> Process:
        """The caller's own worker, on the caller's default queue."""
        arguments = f"-m celery -A app worker -P solo -l INFO -Q {self.queue} -n {self.queue}@%h"
        process = self.start(f"{self.queue}_worker", *arguments.split())
        wait_until(lambda: " ready." in process.tail(), within_s=30, what="the caller's worker")
        return process

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the caller's tasks wrote down."""
        if not self.log.exists():
            return []
        lines = [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]
        return [line for line in lines if line["event"] == name]


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
    found.worker()
    return found


@pytest.fixture(scope="session")
def canvas(caller: Caller) -> dict[str, Any]:
    """What a caller's process got for every shape, by provider and name."""
    process = caller.start("caller", "run.py", "anthropic", "openai")
    process.wait(within_s=150)
    lines = process.log.read_text("utf-8").splitlines()
    found = [line for line in lines if line.startswith('{"anthropic"')]
    assert found, process.tail()
    printed: dict[str, Any] = json.loads(found[0])
    return printed


def books(stack: Stack, path: str = "") -> Any:
    """What the simulated providers billed."""
    with urllib.request.urlopen(f"{stack.simulator_url}/_books{path}", timeout=30) as reply:
        return json.loads(reply.read())
