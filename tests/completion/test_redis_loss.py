"""Redis forgets at the worst moment, or remembers what is old: what the ledger has is told again, whenever."""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from sqlalchemy import create_engine, text
from structlog.testing import capture_logs

from app.completion.redis_loss import RedisLoss
from app.intake.unadmitted import Unadmitted
from app.ledger import engine as ledger
from app.ledger import redelivery, tickets
from app.ledger.redelivery import Publication
from dev.fault_proxy import Deed, Fault, FaultProxy
from tests.client.apps import calling
from tests.completion.chorded import answer_all, ask, bodies, finish, publish, theirs
from tests.completion.conftest import Service, a_chord_keeper
from tests.support.answering import admit, answer
from tests.support.factories import an_admission
from unhurried.contract import ADMITTED_STATE

STRUCK_S = 20.0
SETS_MARK = re.compile(rb"SET\r\n\$14\r\nunhurried:mark")
TELLS_STATES = re.compile(rb"SET\r\n[^*]*celery-task-meta-open")
READS_CHORDS = re.compile(rb"FROM ticket LEFT JOIN chord")
LOOKS = re.compile(rb"GETRANGE\r\n")
COMMITS_MARK = re.compile(rb"UPDATE redis_mark")
#: What is said to PostgreSQL; the others are said to Redis.
LEDGERS = {READS_CHORDS, COMMITS_MARK}


@dataclass(frozen=True)
class Proxied:
    """The same service, whose look at Redis goes through proxies."""

    loss: RedisLoss
    redis: FaultProxy
    postgres: FaultProxy

    def arm(self, request: re.Pattern[bytes], deed: Deed) -> Fault:
        """Strike one request to either server."""
        return self.on_the_way_of(request).arm(Fault(request=request, deed=deed))

    def on_the_way_of(self, request: re.Pattern[bytes]) -> FaultProxy:
        """The proxy that a request passes."""
        return self.postgres if request in LEDGERS else self.redis


@pytest.fixture
def proxied(service: Service, redis_url: str, database_url: str) -> Iterator[Proxied]:
    """A look at Redis that can be stopped on the way."""
    with FaultProxy(_port(redis_url)) as to_redis, FaultProxy(_port(database_url)) as to_postgres:
        there = redis_url.replace(str(_port(redis_url)), str(to_redis.port))
        database = database_url.replace(str(_port(database_url)), str(to_postgres.port))
        engine = create_engine(f"{database}?sslmode=disable")
        with redis.Redis.from_url(there) as client:
            loss = RedisLoss(
                engine=engine,
                chords=a_chord_keeper(engine, service.app, client),
                client=client,
                backend=service.app.backend,
                key_prefix="",
            )
            yield Proxied(loss=loss, redis=to_redis, postgres=to_postgres)
        engine.dispose()


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def settle(service: Service) -> None:
    """Let everybody look twice: what one makes ready the other completes."""
    for _ in range(2):
        service.loss.run()
        service.completer.run()


def an_ended_and_an_open_job(service: Service) -> None:
    """One whose result is visible, one that is awaited, and a chord that is."""
    answer(service.engine, admit(service.engine, [an_admission("ended")]))
    admit(service.engine, [an_admission("open", prompt="another")])
    publish(service, [ask("part")], theirs("body"))
    service.completer.run()


def seen(service: Service) -> list[str]:
    """What a caller sees, and whether Celery knows the chord's size."""
    sizes = list(service.client.scan_iter("celery-taskset-meta-*.s"))
    return [service.app.AsyncResult(name).state for name in ("ended", "open")] + ["sized"] * len(
        sizes
    )


VISIBLE = ["SUCCESS", ADMITTED_STATE, "sized"]
POINTS = [
    pytest.param(SETS_MARK, id="marking"),
    pytest.param(TELLS_STATES, id="states"),
    pytest.param(READS_CHORDS, id="chords"),
    pytest.param(LOOKS, id="results"),
    pytest.param(COMMITS_MARK, id="expecting"),
]


@pytest.mark.parametrize("point", POINTS)
def test_a_flush_while_redis_is_told_again_is_noticed(
    service: Service, proxied: Proxied, point: re.Pattern[bytes]
) -> None:
    """
    Wherever a second flush falls, the next look tells everything again.
    """
    an_ended_and_an_open_job(service)
    service.client.flushall()
    fault = proxied.arm(point, Deed.HOLD)
    telling = threading.Thread(target=proxied.loss.run)
    telling.start()
    assert fault.struck.wait(STRUCK_S)
    service.client.flushall()
    proxied.on_the_way_of(point).release(fault)
    telling.join()
    settle(service)

    assert VISIBLE == seen(service)


def test_what_was_forgotten_before_anybody_looked_is_told_again(service: Service) -> None:
    """
    The first look of all finds tickets there: Redis may have forgotten already, and nobody would know.
    """
    an_ended_and_an_open_job(service)
    with service.engine.begin() as connection:
        connection.execute(text("DELETE FROM redis_mark"))
    service.client.flushall()
    settle(service)

    assert VISIBLE == seen(service)


@pytest.mark.parametrize("point", POINTS)
def test_whoever_dies_while_telling_again_leaves_it_to_the_next(
    service: Service, proxied: Proxied, point: re.Pattern[bytes]
) -> None:
    """
    Wherever it stopped, nobody takes Redis for one that has been told.
    """
    an_ended_and_an_open_job(service)
    service.client.flushall()
    proxied.arm(point, Deed.CUT)
    with pytest.raises(Exception, match=r"(?i)connection|closed"):
        proxied.loss.run()
    settle(service)

    assert VISIBLE == seen(service)


def test_another_replication_id_is_a_reason_to_look_at_everything(service: Service) -> None:
    """
    A replica took over: its keys are there, and some hold what was true before the end.
    """
    an_ended_and_an_open_job(service)
    make_stale(service, "ended", minutes=120)
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE redis_mark SET replication_id = 'of another server'"))
    with capture_logs() as told:
        settle(service)

    assert VISIBLE == seen(service)
    assert "redis_replaced" in {one["event"] for one in told}
    with capture_logs() as told:
        settle(service)
    assert not {"redis_replaced", "redis_told_again"} & {one["event"] for one in told}


@pytest.mark.parametrize("minutes", [0, 120], ids=["new", "old"])
def test_a_stale_state_is_found_by_the_sample(service: Service, minutes: int) -> None:
    """
    Nothing says that the server is another; the look at some results sees the older state.
    """
    an_ended_and_an_open_job(service)
    make_stale(service, "ended", minutes=minutes)
    settle(service)

    assert "SUCCESS" == service.app.AsyncResult("ended").state


def make_stale(service: Service, task_id: str, *, minutes: int) -> None:
    """Put the admitted state in the place of a result, and make it that much older."""
    backend: Any = service.app.backend
    meta = {"status": ADMITTED_STATE, "result": None, "task_id": task_id}
    service.client.set(backend.get_key_for_task(task_id), backend.encode(meta))
    with service.engine.begin() as connection:
        connection.execute(
            text("UPDATE ticket SET completed_at = completed_at - :span WHERE task_id = :id"),
            {"span": timedelta(minutes=minutes), "id": task_id},
        )


def test_a_completer_that_told_redis_before_it_forgot_closes_nothing(service: Service) -> None:
    """
    It comes back after the flush and says that it is done: the ticket stays ready, and is told again.
    """
    answer(service.engine, admit(service.engine, [an_admission("ended")]))
    service.loss.run()
    with service.engine.begin() as connection:
        now = ledger.now(connection)
        (held,) = tickets.claim(connection, at=now, lease=timedelta(minutes=1), limit=1)
    service.client.flushall()
    service.loss.run()
    with service.engine.begin() as connection:
        tickets.completed(connection, [(held.id, held.generation)], at=ledger.now(connection))
        connection.execute(text("UPDATE ticket SET leased_until = NULL"))
    service.completer.run()

    assert "SUCCESS" == service.app.AsyncResult("ended").state


def test_a_task_that_ignores_its_result_gets_no_state_after_a_flush(service: Service) -> None:
    """
    Nothing was written under its id before, so nothing is now.
    """
    quiet = an_admission("quiet")
    headers = quiet.message.headers.replace(b"}", b', "ignore_result": true}')
    message = replace(quiet.message, headers=headers, ignore_result=True)
    admit(service.engine, [replace(quiet, message=message)])
    service.loss.run()
    service.client.flushall()
    service.loss.run()

    assert not service.client.exists("celery-task-meta-quiet")


def test_what_was_not_admitted_is_counted_when_it_is_lost(service: Service) -> None:
    """
    The pump has seen three messages; after the flush it sees none, and the three are told.
    """
    service.loss.run()
    service.client.lpush("unhurried.batch", "one", "two")
    service.client.rpush("reserved by another", "three")
    service.client.zadd("unhurried:intake", {"reserved by another": 0})
    unadmitted(service).look(["unhurried.batch"], reserved="unhurried:intake")
    service.client.flushall()
    unadmitted(service).look(["unhurried.batch"], reserved="unhurried:intake")
    with capture_logs() as told:
        service.loss.run()

    assert [3] == [one["unadmitted_count"] for one in told if one["event"] == "redis_forgot"]


def unadmitted(service: Service) -> Unadmitted:
    """A pump's count, before its first look."""
    return Unadmitted(client=service.client, engine=service.engine, known_as=service.mark.known_as)


def test_a_call_that_was_lost_before_admission_is_healed_by_its_key(service: Service) -> None:
    """
    Published, flushed, and published again under the same task id and key: one job, and the first id is answered.
    """
    for _ in range(2):
        service.loss.run()
    publish_single(service)
    service.client.flushall()
    service.pump.run_once()
    publish_single(service)
    service.pump.run_once()
    publish_single(service)
    service.pump.run_once()
    finish(service)
    with service.engine.connect() as connection:
        counts = connection.execute(
            text("SELECT (SELECT count(*) FROM job), (SELECT count(*) FROM ticket)")
        ).one()

    assert (1, 1) == tuple(counts)
    assert "SUCCESS" == service.app.AsyncResult("lost").state


def test_a_link_that_went_out_before_a_flush_stays_out(service: Service) -> None:
    """
    Its completer died before it closed the ticket, and then Redis forgot its own mark of it.
    """
    service.loss.run()
    with calling(service.redis_url):
        ask("a").set(link=[theirs("linked")]).apply_async()
    service.pump.run_once()
    answer_all(service)
    with service.engine.begin() as connection:
        now = ledger.now(connection)
        (taken,) = tickets.claim(connection, at=now, lease=timedelta(0), limit=1)
        linked = Publication(publisher=taken.name, task_id="linked")
        redelivery.remember_published(connection, [linked], at=now)
    service.client.flushall()
    service.completer.run()

    assert ("SUCCESS", 0) == (service.app.AsyncResult("a").state, bodies(service, "linked"))


def publish_single(service: Service) -> None:
    """The same call, as a caller repeats it."""
    with calling(service.redis_url):
        ask("lost", idempotency_key="notes:1").apply_async()


def test_settings_that_make_redis_forget_are_told_once(service: Service) -> None:
    """
    Eviction and no append-only file: a warning each, with the remedy, and never again.
    """
    service.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with capture_logs() as told:
            for _ in range(3):
                service.loss.run()
    finally:
        service.client.config_set("maxmemory-policy", "noeviction")

    said = [(one["setting"], one["remedy"]) for one in told if one["event"] == "redis_may_forget"]
    assert ["maxmemory-policy allkeys-lru", "appendonly no"] == [setting for setting, _ in said]
    assert all(remedy.startswith("set ") for _, remedy in said)
