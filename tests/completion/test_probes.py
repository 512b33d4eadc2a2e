"""Redis forgets in more ways than one; each is noticed, and told again until Redis knows it all."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text

from app.completion.celery_end import CeleryEnd
from app.completion.redis_loss import RedisLoss
from app.ledger import engine as ledger
from app.ledger import tickets
from dev.servers import Server, start_redis
from tests.completion.conftest import Service
from tests.support.answering import admit, answer
from tests.support.factories import an_admission
from tests.support.waiting import wait_until

IDS = [f"task-{number}" for number in range(5)]


class Flushing(redis.Redis):
    """A client of a Redis that somebody empties before the command of this number."""

    left = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command; pipelines are not counted."""
        self.left -= 1
        if self.left == 0:
            super().execute_command("FLUSHALL")  # type: ignore[no-untyped-call]  # redis-py's own
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]


@pytest.fixture
def probing(service: Service) -> Callable[[Any], RedisLoss]:
    """Makes what looks at a Redis through a client of it."""

    def make(client: Any) -> RedisLoss:
        return RedisLoss(
            engine=service.engine,
            celery_end=CeleryEnd(service.app),
            client=client,
            backend=service.app.backend,
            key_prefix="",
            waiting_count=lambda: 3,
        )

    return make


@pytest.fixture
def replica(tmp_path: Path, redis_server_url: str) -> Iterator[redis.Redis]:
    """A second Redis that follows the first one."""
    server: Server
    with start_redis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        port = redis_server_url.rpartition(":")[2].partition("/")[0]
        client.replicaof("127.0.0.1", port)
        yield client


def complete(service: Service) -> None:
    """Five jobs are admitted, answered and told."""
    answer(service.engine, admit(service.engine, [an_admission(one) for one in IDS]))
    service.completer.run()


def told(client: Any) -> list[str | None]:
    """The state of each task, as its caller reads it."""
    found = [client.get(f"celery-task-meta-{one}") for one in IDS]
    return [json.loads(one)["status"] if one else None for one in found]


def test_a_flush_while_everything_is_told_again_is_noticed(
    service: Service, probing: Callable[[Any], RedisLoss], redis_url: str
) -> None:
    """
    Wherever in the telling it falls, the next look tells everything once more.
    """
    probing(service.client).run()
    complete(service)
    for place in range(1, 12):
        service.client.flushall()
        with Flushing.from_url(redis_url) as struck:
            struck.left = place
            probing(struck).run()
        service.completer.run()
        probing(service.client).run()
        service.completer.run()

        assert ["SUCCESS"] * 5 == told(service.client), f"flushed before command {place}"


def test_a_failover_to_a_replica_that_lagged_is_noticed(
    service: Service, probing: Callable[[Any], RedisLoss], replica: redis.Redis
) -> None:
    """
    The replica has the mark, and of every task the state from before it ended.
    """
    probing(service.client).run()
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

    count = probing(replica).run()

    assert 5 == count
    assert 5 == _ready_count(service)


def test_single_results_that_are_gone_are_told_again(
    service: Service, probing: Callable[[Any], RedisLoss]
) -> None:
    """
    Evicted, deleted or overwritten by something older.
    """
    probe = probing(service.client)
    probe.run()
    complete(service)
    service.client.delete("celery-task-meta-task-1")
    service.client.set("celery-task-meta-task-3", '{"status": "ADMITTED", "result": null}')

    assert 2 == probe.run()
    service.completer.run()

    assert (["SUCCESS"] * 5, 0) == (told(service.client), probe.run())


def test_a_restart_with_all_its_data_tells_nothing_again(
    service: Service, probing: Callable[[Any], RedisLoss]
) -> None:
    """
    Another history with everything in it: looked through, and nothing is missing.
    """
    probe = probing(service.client)
    probe.run()
    complete(service)
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE redis_mark SET replication_id = 'another'"))

    assert (0, 0) == (probe.run(), probe.run())
    assert 0 == _ready_count(service)


def test_a_completer_that_slept_closes_nothing_newer(
    service: Service, probing: Callable[[Any], RedisLoss]
) -> None:
    """
    It slept past its lease, another completed its tickets, and Redis forgot: what is to be told again
    stays so when it wakes.
    """
    probing(service.client).run()
    answer(service.engine, admit(service.engine, [an_admission(one) for one in IDS]))
    with service.engine.begin() as connection:
        now = ledger.now(connection)
        slept = tickets.claim(connection, at=now, lease=now - now, limit=100)
    service.completer.run()
    service.client.flushall()
    assert 5 == probing(service.client).run()
    with service.engine.begin() as connection:
        done = [(one.id, one.generation) for one in slept]
        tickets.completed(connection, done, at=ledger.now(connection))

    service.completer.run()

    assert ["SUCCESS"] * 5 == told(service.client)


def _ready_count(service: Service) -> int:
    with service.engine.connect() as connection:
        count: int = connection.execute(
            text("SELECT count(*) FROM ticket WHERE state = 'ready'")
        ).scalar_one()
    return count
