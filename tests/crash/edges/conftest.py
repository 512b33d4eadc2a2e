"""The net, over the run's own PostgreSQL and Redis; what it has shown is printed at the end of the run."""

from collections.abc import Iterator

import pytest

from tests.crash.edges.net import Net, summary
from tests.crash.edges.world import Grounds
from tests.support import sections


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
    with found.spread():
        yield found
    if found.played:
        sections.add(pytestconfig, "processes killed at every edge", summary(found.played))
