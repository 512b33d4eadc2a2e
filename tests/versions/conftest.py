"""Today's whole service, and a caller with today's client, for each recording of an earlier version."""

from collections.abc import Iterator
from typing import Final

import pytest
import redis
from celery import Celery

from dev.stack import Stack
from tests.client.apps import calling
from tests.notify.receivers import Inbox, receiving
from tests.road.callers import STEPS, Caller
from tests.road.conftest import HASTE, PROCESSES, SPEED, receivers
from tests.versions.recordings import Recording, oldest, recordings

#: A service is started for each: `make test` plays the oldest, which differs most from today's.
_PLAYED: Final = [
    pytest.param(one, id=one.name, marks=[] if one == oldest() else [pytest.mark.full])
    for one in recordings()
]


@pytest.fixture(scope="module", params=_PLAYED)
def recording(request: pytest.FixtureRequest) -> Recording:
    """One earlier version."""
    found: Recording = request.param
    return found


@pytest.fixture(scope="module")
def inbox(recording: Recording) -> Iterator[Inbox]:  # noqa: ARG001 - one for each
    """The receiver of webhooks that the service knows as `crm`."""
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Iterator[Stack]:
    """Today's service over an empty ledger, with the settings that the recorder gives to earlier ones."""
    with Stack(
        directory=tmp_path_factory.mktemp("stack"),
        processes=PROCESSES,
        environment=HASTE | receivers(inbox),
        simulator_options=SPEED,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Caller:
    """A caller's own worker, with the tasks that the recorded calls name."""
    found = Caller(stack, stack.directory / "caller.jsonl")
    found.worker(include=STEPS)
    return found


@pytest.fixture(scope="module")
def server(stack: Stack) -> Iterator[redis.Redis]:
    """The Redis that caller and service share."""
    with redis.Redis.from_url(stack.variables["UNHURRIED_REDIS_URL"]) as client:
        yield client


@pytest.fixture
def app(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """A caller of this test, with today's client."""
    for name in ("UNHURRIED_STORAGE", "UNHURRIED_WORKLOADS"):
        monkeypatch.setenv(name, stack.variables[name])
    with calling(stack.variables["UNHURRIED_REDIS_URL"]) as found:
        yield found
