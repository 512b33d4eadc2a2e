"""One stack for all crash tests, whose faults come from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.stack import Stack
from tests.crash.scene import SPANS, Scene
from tests.road.callers import Caller
from tests.road.conftest import HASTE, PROCESSES, SPEED


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Every process of the service but Flower, the simulator, a mail catcher and a caller's worker."""
    with Stack(
        directory=tmp_path_factory.mktemp("crash"),
        processes=PROCESSES,
        environment={**HASTE, **SPANS},
        simulator_options=SPEED,
        durable=True,
        faulty=True,
    ) as stack:
        log = stack.directory / "caller.jsonl"
        caller = Caller(stack, log, directory=Path(__file__).parent / "caller")
        caller.worker()
        yield Scene(stack, caller)
