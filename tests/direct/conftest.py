"""What direct calls are made to."""

from collections.abc import Iterator

import pytest

from tests.simulator.conftest import Simulator, running


@pytest.fixture(scope="package")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A provider of one's own, and of all kinds."""
    with running(tmp_path_factory.mktemp("simulator")) as found:
        yield found
