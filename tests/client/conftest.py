"""A caller with a Celery app of its own, as the handles find it."""

from collections.abc import Iterator

import pytest
from celery import Celery

from tests.client.apps import calling


@pytest.fixture(autouse=True)
def _no_broker_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UNHURRIED_BROKER_URL", "UNHURRIED_RESULT_BACKEND", "UNHURRIED_KEY_PREFIX"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def caller(redis_url: str) -> Iterator[Celery]:
    """The current app, on the run's Redis."""
    with calling(redis_url) as app:
        yield app
