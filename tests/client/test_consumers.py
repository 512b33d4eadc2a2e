"""Consumers: parsed, fresh, recorded as picked up, or refused."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import redis
from celery import Celery

from tests.client.wire import finish, sent
from unhurried import (
    CallError,
    NotReady,
    Results,
    StaleResult,
    UnknownJob,
    consumer,
    consumes,
    messages,
)
from unhurried.picking_up import taken
from unhurried.readers import PICK_UPS_KEY, PickUp, latest_key, reply_key

SAY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": []}


def a_result(*, hours_old: float = 0, **more: Any) -> dict[str, Any]:
    """A wire result whose input was true some hours ago."""
    now = datetime.now(UTC)
    as_of = now - timedelta(hours=hours_old)
    known = {"schema": 1, "job_id": "j", "result_id": str(uuid4()), "output": "Fine."}
    return known | {"as_of": as_of.isoformat(), "produced_at": now.isoformat()} | more


def a_failure() -> dict[str, Any]:
    """An error value on the wire."""
    return {"schema": 1, "error": {"code": "invalid_request", "message": "no"}}


def pick_ups(client: redis.Redis) -> list[PickUp]:
    """What readers have noted to have read."""
    return [note for note in notes(client) if note.result_ids or note.run_id]


def notes(client: redis.Redis) -> list[PickUp]:
    """All that readers have noted."""
    entries: Any = client.xrange(PICK_UPS_KEY)
    return [PickUp.model_validate_json(fields[b"pick_up"]) for _, fields in entries]


def test_a_consumer_is_known_before_it_reads(caller: Celery, redis_client: redis.Redis) -> None:
    """The first call that a process publishes names its consumers, and the function of each; once."""

    @caller.task(shared=False)
    @consumes("tagging", name="early-bird", max_staleness="1h", owner="growth")
    def report(results: Results) -> int:
        return len(results)

    for _ in range(2):
        messages.delay(**SAY, tier="batch", workload="tagging")

    (said,) = (
        note.consumer
        for note in notes(redis_client)
        if note.consumer is not None and note.consumer.name == "early-bird"
    )
    assert ("tagging", "growth") == (said.workload, said.owner)
    assert said.task is not None
    assert said.task.endswith("report")
    assert [] == pick_ups(redis_client)


def test_what_a_plain_task_was_given_is_told_by_its_ids() -> None:
    """A result, a list with an error among it, the end of a run; anything else is nothing."""
    one, two = a_result(), a_result()
    run_id = uuid4()
    ids = [UUID(str(each["result_id"])) for each in (one, two)]

    assert (ids[:1], None) == taken(one)
    assert (ids, None) == taken([one, a_failure(), two])
    assert ([], run_id) == taken({"schema": 1, "run": str(run_id), "jobs": 2, "failed": 0})
    assert [([], None)] * 4 == [taken(each) for each in (None, 7, {"output": "x"}, ["a", {}])]


def test_a_consumer_gets_results_whatever_arrives(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """One result, a list of them, positional or by name: the task sees `Results`."""

    @caller.task(shared=False)
    @consumes("tagging", name="counts", max_staleness="1h")
    def count(results: Results, factor: int = 1) -> int:
        return len(results.ok) * factor

    one, two = a_result(), a_result()
    # Celery's own call of a task, without a worker.
    assert [1, 4, 2] == [
        count(cast("Any", one)),
        count(cast("Any", [one, two]), 2),
        count(results=cast("Any", [one, two])),
    ]
    assert [1, 2, 2] == [len(note.result_ids) for note in pick_ups(redis_client)]


def test_a_bound_task_keeps_its_self(caller: Celery) -> None:
    """With bind=True the results are what comes after `self`."""

    @caller.task(bind=True, shared=False)
    @consumes("tagging", name="bound", max_staleness="1h")
    def named(self: Any, results: Results) -> str:
        return f"{self.name.rpartition('.')[2]} of {len(results)}"

    assert "named of 1" == cast("Any", named)(a_result())


def test_celery_still_checks_the_arguments(caller: Celery) -> None:
    """A call without the second argument is a TypeError where it is made, as for any task."""

    @caller.task(shared=False)
    @consumes("tagging", name="checked", max_staleness="1h")
    def report(results: Results, user: int) -> int:
        return len(results) + user

    with pytest.raises(TypeError, match="user"):
        report.delay(cast("Any", [a_result()]))


def test_the_oldest_answer_decides(caller: Celery, redis_client: redis.Redis) -> None:
    """One answer of two hours is too old for a consumer of one: it does not run, nothing is picked up."""
    ran: list[int] = []

    @caller.task(shared=False)
    @consumes("tagging", name="oldest", max_staleness="1h", owner="growth")
    def report(results: Results) -> None:
        ran.append(len(results))

    with pytest.raises(StaleResult) as refused:
        report(cast("Any", [a_result(), a_result(hours_old=2), a_result(hours_old=1.5)]))
    assert (7200, 3600) == (round(refused.value.age_s), round(refused.value.tolerated_s))
    assert ([], []) == (ran, pick_ups(redis_client))


def test_what_is_no_longer_effective_is_stale_for_every_consumer(caller: Celery) -> None:
    """`effective_until` binds a consumer that would tolerate the age."""

    @caller.task(shared=False)
    @consumes("tagging", name="effective", max_staleness="2d")
    def report(results: Results) -> int:
        return len(results)

    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    with pytest.raises(StaleResult):
        report(cast("Any", [a_result(hours_old=1, effective_until=past)]))


def test_failed_parts_are_not_stale(caller: Celery) -> None:
    """An error has no content that could be old: it arrives among `.failed`."""

    @caller.task(shared=False)
    @consumes("tagging", name="partial", max_staleness="1h")
    def report(results: Results) -> tuple[int, int, bool]:
        return len(results.ok), len(results.failed), results.partial

    assert (1, 1, True) == cast("Any", report)([a_result(), a_failure()])


def test_a_run_that_fails_picks_nothing_up(caller: Celery, redis_client: redis.Redis) -> None:
    """The pick-up is recorded once the task has ended well, so a retried task counts when it is done."""

    @caller.task(shared=False)
    @consumes("tagging", name="failing", max_staleness="1h")
    def report(results: Results) -> None:
        raise LookupError(len(results))

    with pytest.raises(LookupError):
        report(cast("Any", [a_result()]))
    assert [] == pick_ups(redis_client)


def test_a_value_that_is_not_ours_is_refused(caller: Celery) -> None:
    """A mixed chord's plain part is a ValueError, not a silent gap."""

    @caller.task(shared=False)
    @consumes("tagging", name="mixed", max_staleness="1h")
    def report(results: Results) -> int:
        return len(results)

    with pytest.raises(ValueError, match="not a result"):
        report(cast("Any", [a_result(), 7]))


def test_results_tell_their_oldest_moment() -> None:
    """Age and as_of of many are those of the oldest answer."""
    old = a_result(hours_old=3)
    results = Results.parse([a_result(), old, a_failure()])
    assert old["as_of"] == (results.as_of or datetime.now(UTC)).isoformat()
    assert timedelta(hours=3) <= results.age() < timedelta(hours=3, minutes=1)


def test_a_page_reads_as_its_consumer(caller: Celery, redis_client: redis.Redis) -> None:
    """read(consumer=) takes the declared staleness and records who it was; a stale read records none."""
    consumer("profile-page", workload="notes", max_staleness="6h", owner="web")
    consumer("profile-page", workload="notes", max_staleness="6h", owner="web")
    job = messages.delay(**SAY, tier="batch", workload="notes")
    (message,) = sent(redis_client, "unhurried.batch")
    result = a_result(hours_old=5)
    finish(caller, message, result)
    assert "Fine." == messages.read(job.id, consumer="profile-page").output
    with pytest.raises(StaleResult):
        messages.read(job.id, max_staleness="1h", consumer="profile-page")
    (note,) = pick_ups(redis_client)
    assert note.consumer is not None
    assert ("profile-page", "web") == (note.consumer.name, note.consumer.owner)
    assert [result["result_id"]] == [str(one) for one in note.result_ids]


def test_a_consumer_has_one_declaration() -> None:
    """The same name with another tolerance is an error where it is declared."""
    consumer("once", workload="notes", max_staleness="6h")
    with pytest.raises(ValueError, match="declared already"):
        consumer("once", workload="notes", max_staleness="7h")
    with pytest.raises(ValueError, match="name"):
        consumer("with a blank", workload="notes", max_staleness="7h")


@pytest.mark.usefixtures("caller")
def test_who_reads_says_how_old_it_may_be() -> None:
    """Neither max_staleness= nor consumer= is a TypeError; an undeclared consumer is named."""
    for read in (messages.read, messages.latest):
        with pytest.raises(TypeError, match="max_staleness= or consumer="):
            read("any")
        with pytest.raises(CallError, match="no consumer 'nobody' is declared"):
            read("any", consumer="nobody")


def test_the_newest_answer_is_found_by_its_subject(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """latest() follows the service's pointer; what is too old is stale there too."""
    messages.delay(**SAY, tier="batch", workload="notes", subject="user:17")
    (message,) = sent(redis_client, "unhurried.batch")
    finish(caller, message, a_result(hours_old=5))
    key = latest_key(tenant="default", workload="notes", subject="user:17")
    redis_client.hset(key, mapping={"as_of_us": "1", "task_id": message.id})
    assert "Fine." == messages.latest("notes", subject="user:17", max_staleness="6h").output_text
    with pytest.raises(StaleResult):
        messages.latest("notes", subject="user:17", max_staleness="1h")


@pytest.mark.usefixtures("caller")
def test_nothing_newest_is_what_the_service_says(redis_client: redis.Redis) -> None:
    """Waiting for its first answer is NotReady; never published is UnknownJob."""
    key = latest_key(tenant="default", workload="notes", subject=None)
    redis_client.set(reply_key(key), "waiting")
    with pytest.raises(NotReady, match="notes"):
        messages.latest("notes", max_staleness="1h")
    redis_client.set(reply_key(key), "unknown")
    with pytest.raises(UnknownJob, match="notes"):
        messages.latest("notes", max_staleness="1h")
