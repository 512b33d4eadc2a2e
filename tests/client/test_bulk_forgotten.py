"""`bulk` over a Redis that forgets: a run is sealed with what was published, or not at all."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import redis

from dev.fault_proxy import Deed, Fault, FaultProxy
from tests.client.apps import calling
from tests.client.test_bulk import BATCH, body, parts, published
from unhurried import ServiceUnavailable, messages
from unhurried.bulk import Item, item
from unhurried.run_wire import RunState

KEY = "nightly"


def meanwhile(count: int, after: int, happens: Callable[[], object]) -> Iterator[Item]:
    """Calls of a run, during whose publishing something happens: two portions of 500 are out at 1,000."""
    for number, one in enumerate(parts(count)):
        if number == after:
            happens()
        yield one
    if after == count:
        happens()


def as_it_is(client: redis.Redis) -> Callable[[], None]:
    """What brings Redis back to how it is now: a replica that lagged, a torn append-only file."""
    kept = {key: client.dump(key) or b"" for key in client.keys("*")}

    def restore() -> None:
        client.flushall()
        for key, value in kept.items():
            client.restore(key, 0, value)

    return restore


def then_seals_all(client: redis.Redis, count: int) -> None:
    """Published again with the same key, the run is sealed with every part."""
    client.delete(BATCH)
    run = messages.bulk(parts(count), tier="batch", key=KEY)
    asked, (seal,) = published(client)

    assert (count, count) == (len({one.id for one in asked}), seal.kwargs["request"]["total"])
    assert RunState.RUNNING is run.progress.state


@pytest.mark.usefixtures("caller")
@pytest.mark.parametrize("after", [600, 1000])
def test_a_redis_that_forgets_everything_seals_no_run(
    redis_client: redis.Redis, after: int
) -> None:
    """Between two portions, or after the last one: the caller is told to repeat, and nothing follows."""
    with pytest.raises(ServiceUnavailable, match="again with the same key") as raised:
        messages.bulk(meanwhile(1000, after, redis_client.flushall), tier="batch", key=KEY)
    _, seals = published(redis_client)

    assert [] == seals
    assert raised.value.retryable
    then_seals_all(redis_client, 1000)


@pytest.mark.usefixtures("caller")
def test_a_redis_that_forgets_what_came_last_seals_no_run(redis_client: redis.Redis) -> None:
    """One portion of three is gone, and the first one still there."""

    def lagging() -> Iterator[Item]:
        for number, one in enumerate(parts(1500)):
            if number == 700:
                lag = as_it_is(redis_client)
            if number == 1200:
                lag()
            yield one

    with pytest.raises(ServiceUnavailable, match="of 1000 parts it knows 500"):
        messages.bulk(lagging(), tier="batch", key=KEY)
    assert [] == published(redis_client)[1]
    then_seals_all(redis_client, 1500)


@pytest.mark.usefixtures("caller")
def test_another_caller_of_the_run_hides_no_loss(redis_client: redis.Redis) -> None:
    """As many parts are there as this call has published, but they are another's."""

    def forgets_and_others_publish() -> None:
        redis_client.flushall()
        others = (item(body(f"other {number}"), key=f"other {number}") for number in range(1000))
        messages.bulk(others, tier="batch", key=KEY)

    with pytest.raises(ServiceUnavailable, match="of 1000 parts it knows 0"):
        messages.bulk(meanwhile(1000, 1000, forgets_and_others_publish), tier="batch", key=KEY)
    redis_client.delete(BATCH)
    messages.bulk(parts(1000), tier="batch", key=KEY)
    _, (seal,) = published(redis_client)

    assert 2000 == seal.kwargs["request"]["total"]


@pytest.mark.usefixtures("caller")
def test_callers_of_one_run_at_once_seal_what_both_have_published(
    redis_client: redis.Redis,
) -> None:
    """Neither takes the other's portions for a loss; the seal counts each part once."""

    def others_publish() -> None:
        shared = (item(body(f"part {number}"), key=number) for number in range(300, 1200))
        messages.bulk(shared, tier="batch", key=KEY)

    messages.bulk(meanwhile(1300, 700, others_publish), tier="batch", key=KEY)
    _, seals = published(redis_client)

    # The others' as they found it, and this call's.
    assert [1200, 1300] == [seal.kwargs["request"]["total"] for seal in seals]


@pytest.mark.usefixtures("caller")
def test_a_call_that_stands_twice_in_a_run_is_one_part(redis_client: redis.Redis) -> None:
    """Across portions, too: a run that waited for more parts than there are would never end."""
    twice = [*parts(600), *parts(600)]
    messages.bulk(twice, tier="batch")
    asked, (seal,) = published(redis_client)

    assert (1200, 600) == (len(asked), len({one.id for one in asked}))
    assert 600 == seal.kwargs["request"]["total"]


def test_a_portion_whose_reply_was_lost_is_no_loss(
    redis_url: str, redis_client: redis.Redis
) -> None:
    """The client sends it again by itself: the same parts, and a run that is sealed with them."""
    port = urlsplit(redis_url).port
    assert port is not None
    with FaultProxy(port) as proxy, calling(f"redis://127.0.0.1:{proxy.port}/0"):
        # Two parts go out in one piece, so the server has done all of it when the reply is cut.
        fault = proxy.arm(Fault(request=re.compile(rb"LPUSH"), deed=Deed.CUT))
        messages.bulk(parts(2), tier="batch")
        assert fault.struck.is_set()
    asked, (seal,) = published(redis_client)

    assert (4, 2) == (len(asked), len({one.id for one in asked}))
    assert 2 == seal.kwargs["request"]["total"]
