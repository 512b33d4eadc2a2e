"""The net, over the run's own PostgreSQL and Redis; what it has shown is printed at the end of the run."""

from collections.abc import Iterator

import pytest

from tests.crash.edges.net import Net, summary
from tests.crash.edges.world import Grounds

#: What was played, for the end of the run.
_NET: pytest.StashKey[Net] = pytest.StashKey()


@pytest.fixture(scope="package")
def net(
    postgres_url: str,
    template_database: str,
    redis_server_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
) -> Iterator[Net]:
    """Worlds to kill processes in."""
    directory = tmp_path_factory.mktemp("edges")
    found = Net(Grounds(postgres_url, template_database, redis_server_url, directory))
    pytestconfig.stash[_NET] = found
    with found.spread():
        yield found


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was killed, where anything was."""
    found = config.stash.get(_NET, None)
    if found is not None and found.played:
        terminalreporter.section("processes killed at every edge")
        for line in summary(found.played):
            terminalreporter.write_line(line)
