"""The whole service once for the tests of this folder, and a caller of its own process and worker.

Not for longer: its processes look every half second, which the tests that come later would pay for.
"""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dev.stack import Stack
from tests.notify.hooks import NEW
from tests.notify.receivers import Inbox, receiving
from tests.road import frameworks
from tests.road.callers import STEPS, Caller
from tests.road.matrix.asking import Cell
from tests.road.verdicts import table

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
    "UNHURRIED_WORKLOADS": str(Path(__file__).parent / "workloads.toml"),
}
#: What the simulator's books show at once, at most.
_PAGE = 10_000
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


#: What came of every cell of the matrix, for the end of the run.
MATRIX: pytest.StashKey[Mapping[Cell, str]] = pytest.StashKey()


@pytest.fixture(scope="package")
def inbox() -> Iterator[Inbox]:
    """The receiver of webhooks that the service knows as `crm`."""
    with receiving() as found:
        yield found


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Iterator[Stack]:
    """Every process of the service but Flower, the simulator and a mail catcher."""
    directory = tmp_path_factory.mktemp("stack")
    with Stack(
        directory=directory,
        processes=PROCESSES,
        environment=HASTE | receivers(inbox) | {"UNHURRIED_TRACES": "console"},
        simulator_options=SPEED,
    ) as running:
        yield running


def receivers(inbox: Inbox) -> dict[str, str]:
    """The settings that name one receiver."""
    return {
        "UNHURRIED_WEBHOOKS": json.dumps({"crm": {"url": inbox.url, "secrets": [NEW]}}),
        "UNHURRIED_WEBHOOK_HOSTS_ALLOWED": '["127.0.0.1"]',
    }


@pytest.fixture(scope="package")
def caller(stack: Stack) -> Caller:
    """A caller with a worker."""
    found = Caller(stack, stack.directory / "caller.jsonl")
    found.worker(include=STEPS)
    return found


@pytest.fixture(scope="package")
def django_caller(stack: Stack) -> Caller:
    """`examples/django_notes`, with its worker."""
    return frameworks.django_notes(stack)


@pytest.fixture(scope="package")
def flask_caller(stack: Stack) -> Caller:
    """`examples/flask_digest`, with its worker."""
    return frameworks.flask_digest(stack)


def books(stack: Stack, path: str = "") -> Any:
    """What the simulated providers billed."""
    with urllib.request.urlopen(f"{stack.simulator_url}/_books{path}", timeout=30) as reply:
        return json.loads(reply.read())


def lines(stack: Stack) -> list[dict[str, Any]]:
    """Every line that the simulated providers billed: more than one page of them, by now."""
    found: list[dict[str, Any]] = []
    while True:
        page = books(stack, f"/lines?offset={len(found)}&limit={_PAGE}")
        found += page
        if len(page) < _PAGE:
            return found


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the matrix, where it was run."""
    verdicts = config.stash.get(MATRIX, None)
    if verdicts is not None:
        terminalreporter.section("every canvas shape, as its caller saw it")
        for line in table(verdicts):
            terminalreporter.write_line(line)
