"""A service and a caller whose Redis can be exchanged under them, flushed, and replaced by a stale replica."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import redis
from sqlalchemy import NullPool, create_engine, text

from dev.fault_proxy import FaultProxy
from dev.servers import Server, free_port, start_redis
from dev.stack import Stack
from tests.crash.scene import SPANS, WITHIN_S, Scene
from tests.road.callers import Caller
from tests.road.conftest import HASTE, PROCESSES
from tests.support.waiting import wait_until

_CRASH_CALLER: Final = Path(__file__).parent.parent / "crash" / "caller"


def is_expected(client: redis.Redis, database_url: str) -> bool:
    """Whether this Redis would be missed: the ledger expects the mark that it shows."""
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        expected = connection.execute(text("SELECT value FROM redis_mark")).scalar_one_or_none()
    return expected is not None and client.get("unhurried:mark") == str(expected).encode()


@dataclass
class Place:
    """A scene, and the Redis behind its proxy."""

    scene: Scene
    proxy: FaultProxy
    server: Server
    directory: Path

    def results(self) -> dict[str, Any]:
        """What callers see as results, by task id."""
        with self.scene.redis() as client:
            keys = list(client.scan_iter("celery-task-meta-*"))
            metas = client.mget(keys) if keys else []
        found = [json.loads(meta) for meta in metas if meta is not None]
        return {meta["task_id"]: meta["result"] for meta in found if meta["status"] == "SUCCESS"}

    def await_results(self, expected: dict[str, Any]) -> None:
        """Wait until all of these are visible; what is visible then is equal."""
        wait_until(
            lambda: expected.keys() <= self.results().keys(), within_s=WITHIN_S, what="the results"
        )
        seen = self.results()
        assert expected == {task_id: seen[task_id] for task_id in expected}

    def await_body(self, name: str, provider: str, parts: int) -> None:
        """Wait for a chord's body: it ran once, with every part in its place, and each was bought once."""
        wait_until(lambda: self.scene.bodies(name), within_s=WITHIN_S, what="the body")
        self.scene.await_rest()
        expected = [f"{name} {provider} is number {number}." for number in range(parts)]
        assert [expected] == self.scene.bodies(name)
        assert dict.fromkeys(range(parts), 1) == self.scene.billed(name, provider, parts)

    def await_admitted(self) -> None:
        """Wait until no message is in Redis alone."""
        with self.scene.redis() as client:
            wait_until(
                lambda: (
                    not client.exists("unhurried.batch", "unhurried.notify", "unhurried:intake")
                ),
                within_s=WITHIN_S,
                what="everything published to be admitted",
            )

    def await_marked(self) -> None:
        """Wait until this Redis would be missed."""
        with self.scene.redis() as client:
            url = self.scene.stack.variables["UNHURRIED_DATABASE_URL"]
            wait_until(lambda: is_expected(client, url), within_s=WITHIN_S, what="the mark")

    @contextmanager
    def replicated(self) -> Iterator["Replica"]:
        """A second Redis that follows the first until it is cut off, and may then take its place."""
        first = port_of(self.server.url)
        with (
            start_redis(self.directory / f"replica-{first}") as second,
            FaultProxy(first) as link,
            redis.Redis.from_url(second.url) as client,
        ):
            client.replicaof("127.0.0.1", link.port)
            replica = Replica(self, second, client, link)
            wait_until(replica.is_up, within_s=WITHIN_S, what="the replica")
            yield replica
            self.proxy.lead_to(first)


@dataclass
class Replica:
    """A Redis that follows another."""

    place: Place
    server: Server
    client: redis.Redis
    link: FaultProxy

    def is_up(self) -> bool:
        """Whether it has everything that the first one has."""
        return str(self.client.info("replication").get("master_link_status")) == "up"

    def cut_off(self) -> None:
        """Let it miss what is written from now on."""
        with self.place.scene.redis() as first:
            first.wait(1, 10_000)
        self.link.lead_to(free_port())

    def take_over(self) -> None:
        """Promote it: callers and service find it at the same address from now on."""
        self.client.replicaof("NO", "ONE")
        self.place.proxy.lead_to(port_of(self.server.url))


def port_of(url: str) -> int:
    """The port of a server."""
    port = urlsplit(url).port
    assert port is not None
    return port


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Every process of the service but Flower, and a caller's worker, all behind one proxy to Redis."""
    directory = tmp_path_factory.mktemp("exchanging")
    with start_redis(directory / "first") as server, FaultProxy(port_of(server.url)) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        with Stack(
            directory=directory,
            processes=PROCESSES,
            environment={**HASTE, **SPANS, "UNHURRIED_REDIS_URL": url},
            simulator_options=["--speed", "60"],
        ) as stack:
            caller = Caller(stack, directory / "caller.jsonl", directory=_CRASH_CALLER)
            caller.worker()
            yield Place(Scene(stack, caller), proxy, server, directory)
