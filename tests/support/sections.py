"""What a run tells a person at its end, also where its tests ran in processes of their own."""

from collections.abc import Iterable
from typing import Any

import pytest

_SECTIONS: pytest.StashKey[dict[str, list[str]]] = pytest.StashKey()


def add(config: pytest.Config, title: str, lines: Iterable[str]) -> None:
    """Print `lines` under `title` when everything has run."""
    config.stash.setdefault(_SECTIONS, {})[title] = list(lines)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the sections of a worker of pytest-xdist to the process that prints."""
    handed_over = getattr(session.config, "workeroutput", None)
    if handed_over is not None:
        handed_over["sections"] = session.config.stash.get(_SECTIONS, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker has handed over; one that crashed has nothing."""
    for title, lines in getattr(node, "workeroutput", {}).get("sections", {}).items():
        add(node.config, title, lines)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print all of them."""
    for title, lines in config.stash.get(_SECTIONS, {}).items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
