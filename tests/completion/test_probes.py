"""A failover, and a completer that slept through one: what is told again stays so until it is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from app.completion.redis_loss import RedisLoss
from app.ledger import engine as ledger
from app.ledger import tickets
from dev.servers import start_redis
from tests.completion.conftest import Service, a_chord_keeper
from tests.support.answering import admit, answer
from tests.support.factories import an_admission
from tests.support.waiting import wait_until

IDS = [f"task-{number}" for number in range(5)]


@pytest.fixture
def replica(tmp_path: Path, redis_server_url: str) -> Iterator[redis.Redis]:
    """A second Redis that follows the first one."""
    with start_redis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        port = redis_server_url.rpartition(":")[2].partition("/")[0]
        client.replicaof("127.0.0.1", port)
        yield client


def told(client: Any) -> list[str | None]:
    """The state of each task, as its caller reads it."""
    found = [client.get(f"celery-task-meta-{one}") for one in IDS]
    return [json.loads(one)["status"] if one else None for one in found]


def test_a_failover_to_a_replica_that_lagged_is_noticed(
    service: Service, replica: redis.Redis
) -> None:
    """
    The replica has the mark, and of every task the state from before it ended.
    """
    service.loss.run()
    admitted = admit(service.engine, [an_admission(one) for one in IDS])
    for one in IDS:
        meta = {"status": "ADMITTED", "result": None, "task_id": one}
        service.client.set(f"celery-task-meta-{one}", json.dumps(meta))
    mark = service.client.get("unhurried:mark")
    wait_until(
        lambda: (
            (replica.get("unhurried:mark"), replica.dbsize()) == (mark, service.client.dbsize())
        ),
        within_s=20,
        what="the replica to follow",
    )
    replica.replicaof("NO", "ONE")
    answer(service.engine, admitted)
    service.completer.run()
    assert (["ADMITTED"] * 5, ["SUCCESS"] * 5) == (told(replica), told(service.client))
    loss = RedisLoss(
        engine=service.engine,
        chords=a_chord_keeper(service.engine, service.app, replica),
        client=replica,
        backend=service.app.backend,
        key_prefix="",
    )

    assert 5 == loss.run()


def test_a_completer_that_slept_closes_nothing_newer(service: Service) -> None:
    """
    It slept past its lease, another completed its tickets, and Redis forgot: what is to be told again
    stays so when it wakes.
    """
    service.loss.run()
    answer(service.engine, admit(service.engine, [an_admission(one) for one in IDS]))
    with service.engine.begin() as connection:
        now = ledger.now(connection)
        slept = tickets.claim(connection, at=now, lease=now - now, limit=100)
    service.completer.run()
    service.client.flushall()
    assert 5 == service.loss.run()
    with service.engine.begin() as connection:
        done = [(one.id, one.generation) for one in slept]
        tickets.completed(connection, done, at=ledger.now(connection))

    service.completer.run()

    assert ["SUCCESS"] * 5 == told(service.client)
