"""Redis comes back empty, is emptied in the middle, evicts, fails over to a stale replica, is away for a minute."""

import time
from typing import Final

import pytest

from dev.fault_proxy import Deed, Fault
from dev.servers import free_port
from tests.crash.scene import PROVIDERS, RESULTS, WITHIN_S
from tests.redis_loss.conftest import Place, port_of
from tests.support.waiting import wait_until

PARTS: Final = 40
FULL: Final = pytest.mark.full


def test_a_redis_that_comes_back_empty_loses_no_admitted_job(place: Place) -> None:
    """
    Killed without an append-only file while chords are in flight: their bodies run once, with every part.
    """
    place.await_marked()
    for provider in PROVIDERS:
        published = place.scene.publish(f"emptied-{provider}", provider, PARTS, "chord")
        assert 0 == published.wait(within_s=WITHIN_S), published.tail()
    place.await_admitted()
    place.server.crash()
    place.server.start_again()

    for provider in PROVIDERS:
        place.await_body(f"emptied-{provider}", provider, PARTS)


@pytest.mark.parametrize("moment", ["waiting", pytest.param("half", marks=FULL)])
def test_a_flush_in_a_chord_counts_its_parts_again(place: Place, moment: str) -> None:
    """
    Flushed before its jobs are packed, or when half of its parts are counted: the body runs once.
    """
    name = f"flushed-{moment}"
    place.await_marked()
    if moment == "waiting":
        place.scene.kill("packer")
        place.scene.publish(name, "openai", PARTS, "chord").wait(within_s=WITHIN_S)
        place.await_admitted()
        flush(place)
        place.scene.stack.restart("packer")
    else:
        with place.scene.through_proxy("completer") as proxy:
            fault = proxy.arm(Fault(request=RESULTS, deed=Deed.HOLD, skip=60))
            place.scene.publish(name, "openai", PARTS, "chord")
            assert fault.struck.wait(WITHIN_S)
            flush(place)
            proxy.release(fault)
            place.await_body(name, "openai", PARTS)

    place.await_body(name, "openai", PARTS)


def test_calls_that_were_lost_before_admission_heal_by_their_keys(place: Place) -> None:
    """
    Published and flushed with nobody to admit them; published again with the same keys they come once.
    """
    place.scene.kill("intake")
    assert 0 == place.scene.publish("unadmitted", "openai", 20).wait(within_s=WITHIN_S)
    flush(place)
    place.scene.stack.restart("intake")
    place.scene.publish("unadmitted", "openai", 20)

    place.scene.require_once("unadmitted", "openai", 20)


def test_what_is_evicted_is_visible_again(place: Place) -> None:
    """
    Half of the results goes; all of them are there again, and equal.
    """
    name = "evicted"
    place.scene.publish(name, "openai", PARTS, "chord")
    place.await_body(name, "openai", PARTS)
    before = place.results()
    # Task ids are random: every other one of them in their order is as good as any half.
    chosen = sorted(before)[::2]
    with place.scene.redis() as client:
        client.delete(*(f"celery-task-meta-{task_id}" for task_id in chosen))

    ours = {one: value for one, value in before.items() if isinstance(value, dict)}
    place.await_results(ours)


@FULL
def test_what_redis_evicts_by_itself_is_visible_again(place: Place) -> None:
    """
    It was told to throw away whatever it likes, and did; then it was set right.
    """
    name = "thrown-away"
    place.scene.publish(name, "openai", PARTS, "chord")
    place.await_body(name, "openai", PARTS)
    before = {one: value for one, value in place.results().items() if isinstance(value, dict)}
    with place.scene.redis() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 100_000)
        wait_until(
            lambda: client.info("stats")["evicted_keys"] > 0 and place.results() != before,
            within_s=WITHIN_S,
            what="an eviction",
        )
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")

    place.await_results(before)


@FULL
@pytest.mark.parametrize("moment", ["half", "done"])
def test_a_failover_to_a_stale_replica_is_told_what_it_missed(place: Place, moment: str) -> None:
    """
    It missed the second half of a chord, or all that came after: nothing is lost, the body runs once.
    """
    name = f"stale-{moment}"
    place.await_marked()
    with place.replicated() as replica, place.scene.through_proxy("completer") as proxy:
        early = proxy.arm(Fault(request=RESULTS, deed=Deed.HOLD, skip=30))
        late = proxy.arm(Fault(request=RESULTS, deed=Deed.HOLD, skip=40))
        loads = [
            place.scene.publish(name, "openai", PARTS, "chord"),
            place.scene.publish(f"{name}-mail", "openai", 4, "mail"),
        ]
        assert early.struck.wait(WITHIN_S)
        # What is in Redis alone when it is replaced is lost, and not what this is about.
        assert [0, 0] == [load.wait(within_s=WITHIN_S) for load in loads]
        place.await_admitted()
        replica.cut_off()
        proxy.release(early)
        assert late.struck.wait(WITHIN_S)
        if moment == "done":
            proxy.release(late)
            place.await_body(name, "openai", PARTS)
        before = {one: value for one, value in place.results().items() if isinstance(value, dict)}
        replica.take_over()
        proxy.release(late)

        place.await_body(name, "openai", PARTS)
        place.await_results(before)
        wait_until(
            lambda: len(place.scene.mailed(f"{name}-mail")) == 4, within_s=WITHIN_S, what="4 mails"
        )
        place.scene.await_rest()
        assert {1} == set(place.scene.mailed(f"{name}-mail").values())
        place.proxy.lead_to(port_of(place.server.url))


@FULL
def test_a_minute_without_redis_under_load_costs_a_minute(place: Place) -> None:
    """
    Callers get an error in seconds and repeat; every job comes once.
    """
    loads = {one: place.scene.publish("minute", one, 300) for one in PROVIDERS}
    for load in loads.values():
        place.scene.await_published(load, 50)
    place.proxy.lead_to(free_port())
    until = time.monotonic() + 60
    wait_until(lambda: time.monotonic() > until, within_s=90, what="a minute")
    place.proxy.lead_to(port_of(place.server.url))

    for provider, load in loads.items():
        assert 0 == load.wait(within_s=WITHIN_S), load.tail()
        place.scene.require_once("minute", provider, 300)


def flush(place: Place) -> None:
    """Forget everything; both sides go on with the connections they have."""
    with place.scene.redis() as client:
        client.flushall()
