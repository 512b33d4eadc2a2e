"""Real servers for every test: one PostgreSQL and one Redis a run, both empty for each test.

A server whose program is missing is an error that says how to get it, never a skip.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine

from app.ledger import engine as ledger
from dev.servers import start_postgres, start_redis
from tests.support import databases, places

# How fast a busy machine draws an example says nothing of what is tested.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Name the marks there are."""
    config.addinivalue_line("markers", "full: too slow for `make test`; runs in `make test-all`")
    config.addinivalue_line(
        "markers",
        "ops: what people on call are told, by Prometheus and Chromium; runs in `make test-ops`",
    )


@pytest.fixture(scope="session")
def servers_directory() -> Iterator[Path]:
    """Where the run's servers keep data and logs."""
    with places.passing() as found:
        yield found


@pytest.fixture(scope="session")
def postgres_url(servers_directory: Path) -> Iterator[str]:
    """The run's PostgreSQL, at its maintenance database."""
    with start_postgres(servers_directory) as server:
        yield server.url


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> str:
    """The name of a migrated database to copy."""
    return databases.make_template(postgres_url)


@pytest.fixture
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated, empty ledger of the test's own."""
    url = databases.copy_template(postgres_url, template_database)
    yield url
    databases.drop(postgres_url, url)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Connections to it."""
    found = ledger.connect(database_url)
    yield found
    found.dispose()


@pytest.fixture(scope="session")
def redis_server_url(servers_directory: Path) -> Iterator[str]:
    """The run's Redis, with whatever the last test left in it."""
    with start_redis(servers_directory) as server:
        yield server.url


@pytest.fixture
def redis_client(redis_server_url: str) -> Iterator[redis.Redis]:
    """A client of the run's Redis, emptied for the test."""
    with redis.Redis.from_url(redis_server_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def redis_url(redis_server_url: str, redis_client: redis.Redis) -> str:  # noqa: ARG001 - empties it
    """The run's Redis, emptied for the test."""
    return redis_server_url
