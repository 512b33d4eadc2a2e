"""`bulk`: what publishing a run leaves in Redis, interrupted and repeated included."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery

from tests.client.wire import Sent, finish, sent
from unhurried import CallError, Results, messages
from unhurried.bulk import Item, item
from unhurried.errors import failure
from unhurried.run_wire import RUN_TASK, RunCounts, RunState, is_run_reference, run_key

SAY: dict[str, Any] = {"model": "m", "max_tokens": 9}
BATCH = "unhurried.batch"


def body(text: str) -> dict[str, Any]:
    return {**SAY, "messages": [{"role": "user", "content": text}]}


def parts(count: int) -> Iterator[Item]:
    for number in range(count):
        yield item(body(f"part {number}"), key=number, subject=f"user:{number}")


def published(client: redis.Redis) -> tuple[list[Sent], list[Sent]]:
    """The parts of what lies in the queue, and the seals."""
    lying = sent(client, BATCH)
    seals = [message for message in lying if message.headers["task"] == RUN_TASK]
    return [message for message in lying if message not in seals], seals


def told(client: redis.Redis, run_id: str, **counts: Any) -> None:
    """Play the service's part of a run's progress."""
    known = {"state": "running", "looked_at": "2026-11-23T12:00:00Z", **counts}
    client.hset(run_key(run_id), "counts", RunCounts.model_validate(known).model_dump_json())


@pytest.mark.usefixtures("caller")
def test_a_part_is_the_message_that_delay_sends(redis_client: redis.Redis) -> None:
    """Headers, properties, body and marker are those of a single call, but for what names the run."""
    messages.delay(**body("x"), tier="batch", on_failure="return", workload="w")
    run = messages.bulk([item(body("x"))], tier="batch", workload="w")
    (single, part), _ = published(redis_client)

    varying = {"id", "root_id", "argsrepr", "origin", "unhurried_origin"}
    assert {name: value for name, value in single.headers.items() if name not in varying} == {
        name: value for name, value in part.headers.items() if name not in varying
    }
    assert {"kwargsrepr", "argsrepr"} == single.properties.keys() - part.properties.keys()
    assert single.embed == part.embed
    assert single.kwargs["request"] == part.kwargs["request"]
    times = {"as_of", "published_at"}
    assert {"run": run.id} == {
        name: value
        for name, value in part.kwargs["options"].items()
        if name not in times and single.kwargs["options"].get(name) != value
    }
    assert redis_client.exists(f"unhurried:job:{part.id}")
    assert "x" not in part.headers["argsrepr"].split()


@pytest.mark.usefixtures("caller")
def test_a_generator_of_any_size_becomes_its_messages_and_a_seal(
    redis_client: redis.Redis,
) -> None:
    """Every part with its key and subject, in order; the seal after them says how many there are."""
    run = messages.bulk(parts(1203), tier="batch")
    asked, (seal,) = published(redis_client)

    assert [str(number) for number in range(1203)] == [
        one.kwargs["options"]["idempotency_key"] for one in asked
    ]
    assert ["user:0", "user:1202"] == [
        asked[index].kwargs["options"]["subject"] for index in (0, -1)
    ]
    assert (run.id, 1203) == (seal.id, seal.kwargs["request"]["total"])
    assert (RunState.RUNNING, 1203) == (run.progress.state, run.progress.published)


@pytest.mark.usefixtures("caller")
def test_a_generator_is_drawn_as_it_is_published(redis_client: redis.Redis) -> None:
    """No more than a portion is ever held: the first parts are in the queue before the last are made."""
    lying: list[int] = []

    def watched() -> Iterator[Item]:
        for number, one in enumerate(parts(1100)):
            if number in {600, 1099}:
                lying.append(redis_client.llen(BATCH))
            yield one

    messages.bulk(watched(), tier="batch")
    assert [500, 1000] == lying


@pytest.mark.usefixtures("caller")
def test_an_interrupted_run_is_seen_and_goes_on(redis_client: redis.Redis) -> None:
    """Unsealed, with what came before; published again with its key it is the same run, the same tasks."""

    def cut_off() -> Iterator[Item]:
        yield from parts(700)
        raise ConnectionAbortedError("the caller's own trouble")

    with pytest.raises(ConnectionAbortedError):
        messages.bulk(cut_off(), tier="batch", key="nightly")
    before, seals = published(redis_client)
    assert (500, []) == (len(before), seals)

    run = messages.bulk(parts(900), tier="batch", key="nightly")
    everything, (seal,) = published(redis_client)
    assert 1400 == len(everything)
    assert (900, 900) == (len({one.id for one in everything}), seal.kwargs["request"]["total"])
    assert {one.kwargs["options"]["run"] for one in everything} == {run.id}


@pytest.mark.usefixtures("caller")
def test_an_interrupted_run_is_found_by_its_id(redis_client: redis.Redis) -> None:
    """Its state says that nobody has sealed it."""

    def cut_off() -> Iterator[Item]:
        yield from parts(500)
        raise LookupError

    with pytest.raises(LookupError):
        messages.bulk(cut_off(), tier="batch")
    run_id = sent(redis_client, BATCH)[0].kwargs["options"]["run"]
    progress = messages.run(run_id).progress

    assert (RunState.PUBLISHING, 500, None) == (
        progress.state,
        progress.published,
        progress.total,
    )


@pytest.mark.usefixtures("caller")
def test_the_same_key_with_another_request_is_another_task(redis_client: redis.Redis) -> None:
    """So the ledger sees the conflict, and the part says so."""
    messages.bulk([item(body("a"), key=1), item(body("b"), key=1)], tier="batch")
    asked, (seal,) = published(redis_client)

    assert (2, 2) == (len({one.id for one in asked}), seal.kwargs["request"]["total"])


def test_what_follows_is_linked_to_the_end(caller: Celery, redis_client: redis.Redis) -> None:
    """`then` is a callback of the run's own task, so Celery publishes it."""
    then = caller.signature("caller.report", args=(7,))
    messages.bulk(parts(1), tier="batch", then=then)
    _, (seal,) = published(redis_client)

    assert ["caller.report"] == [one["task"] for one in seal.embed["callbacks"]]


@pytest.mark.usefixtures("caller")
def test_an_empty_run_is_sealed_as_well(redis_client: redis.Redis) -> None:
    """A night without documents ends like any other."""
    messages.bulk([], workload="w")
    asked, (seal,) = published(redis_client)

    assert ([], 0) == (asked, seal.kwargs["request"]["total"])


@pytest.mark.usefixtures("caller")
@pytest.mark.parametrize(
    ("common", "says"),
    [
        ({"tier": "sync"}, "own time"),
        ({"tier": "batch", "idempotency_key": "k"}, r"item\(\.\.\.\)"),
        ({"tier": "batch", "subject": "s"}, r"item\(\.\.\.\)"),
        ({}, "is a user waiting"),
    ],
)
def test_what_a_run_cannot_be_is_refused(
    redis_client: redis.Redis, common: dict[str, Any], says: str
) -> None:
    """Before anything is published."""
    with pytest.raises(CallError, match=says):
        messages.bulk(parts(3), **common)
    assert [] == sent(redis_client, BATCH)


def test_results_are_read_page_by_page(caller: Celery, redis_client: redis.Redis) -> None:
    """The end of a run reads as `Results` in the order of its calls, failures as errors."""
    run = messages.bulk(parts(450), tier="batch")
    asked, (seal,) = published(redis_client)
    now = "2026-11-23T12:00:00+00:00"
    for number, message in enumerate(asked):
        value: Any = {"schema": 1, "output": f"{number}", "as_of": now}
        if number == 3:
            value = failure({"code": "invalid_request", "message": "no", "request_id": "req_1"})
        finish(caller, message, value)
    finish(caller, seal, {"schema": 1, "run": run.id, "jobs": 450, "failed": 1})
    reference = run.celery.get(timeout=5)
    results = Results.parse(reference)

    assert is_run_reference(reference)
    assert (450, 449, True) == (len(results), len(results.ok), results.partial)
    assert [number for number in range(450) if number != 3] == [
        int(result.output) for result in results.ok
    ]
    error = results[3].error
    assert error is not None
    assert ("invalid_request", "req_1") == (error.code, error.request_id)
    assert ["448", "449"] == [result.output for result in results[448:]]


def test_a_running_run_shows_what_has_ended(caller: Celery, redis_client: redis.Redis) -> None:
    """Parts that still wait are left out; progress is what the service has counted."""
    run = messages.bulk(parts(3), tier="batch")
    (_, second, _), _ = published(redis_client)
    finish(caller, second, {"schema": 1, "output": "second"})
    told(redis_client, run.id, total=3, admitted=3, in_flight=2, done=1)

    assert ["second"] == [result.output for result in run.results()]
    progress = run.progress
    assert (RunState.RUNNING, 3, 1, 2) == (
        progress.state,
        progress.total,
        progress.done,
        progress.in_flight,
    )
    assert not run.ready()
