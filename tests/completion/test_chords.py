"""Chords that nobody moves any more are seen and moved, and their bodies go out once."""

from typing import Any

import pytest
from celery import chain, group

from tests.completion.chorded import (
    HOME,
    ask,
    bodies,
    chord_key,
    finish,
    publish,
    return_theirs,
    theirs,
    waiting,
)
from tests.completion.conftest import Service
from tests.support.answering import answer, fail
from unhurried.contract import REDIS_LIFETIME_S


def sweep(service: Service) -> int:
    """Look at every chord, and complete what that made ready."""
    mended = service.chords.sweep(remembers=service.loss.remembers)
    service.completer.run()
    return mended


def die_in_claim(service: Service, group_id: str, *, key: str = ".c") -> None:
    """Leave a chord as a process leaves it that died between its claim and the body."""
    service.client.set(chord_key(service, group_id, key), "somebody who died", ex=600)


def test_a_full_chord_whose_publisher_died_publishes_its_body_once(service: Service) -> None:
    """
    While the claim lives it is left alone; when it is over the last step is taken again, once.
    """
    group_id = publish(service, [ask("a"), ask("b")], theirs("body"))
    die_in_claim(service, group_id)
    finish(service)
    assert (0, 0) == (sweep(service), bodies(service, "body"))

    service.client.delete(chord_key(service, group_id, ".c"))

    assert [1, 0, 0] == [sweep(service) for _ in range(3)]
    assert 1 == bodies(service, "body")


def test_what_a_publisher_left_that_died_is_removed(service: Service) -> None:
    """
    It had published the body and not cleaned up, which it is given the time for: Redis holds no answer for a day
    that nobody asks for any more.
    """
    group_id = publish(service, [ask("a"), ask("b")], theirs("body"))
    counted, parts = (chord_key(service, group_id, suffix) for suffix in (".s", ".j"))
    size = service.client.get(counted)
    finish(service)
    service.completer.run()
    assert 1 == bodies(service, "body")
    service.client.set(counted, size)
    service.client.zadd(parts, {"an answer": 1, "another": 2})
    die_in_claim(service, group_id)

    assert 0 == sweep(service)
    assert 2 == service.client.exists(counted, parts)
    service.client.delete(chord_key(service, group_id, ".c"))

    assert 0 == sweep(service)
    assert 0 == service.client.exists(counted, parts)
    assert 1 == bodies(service, "body")


def test_a_chord_whose_last_part_was_the_callers_own_is_finished_too(service: Service) -> None:
    """
    The caller's worker died between its claim and the body: our part takes the last step.
    """
    body = theirs("body")
    group_id = publish(service, [ask("a"), theirs("b")], body)
    finish(service)
    die_in_claim(service, group_id)
    return_theirs(service, group_id, "b", index=1, body=body)
    service.client.delete(chord_key(service, group_id, ".c"))

    assert [1, 0, 0] == [sweep(service) for _ in range(3)]
    assert 1 == bodies(service, "body")


def test_a_chord_that_waits_for_the_callers_own_part_is_left_alone(service: Service) -> None:
    """
    Ours have ended, theirs has not: nothing is done, and then the caller's worker publishes the body.
    """
    body = theirs("body")
    group_id = publish(service, [ask("a"), theirs("b")], body)
    finish(service)
    assert [0, 0] == [sweep(service) for _ in range(2)]

    return_theirs(service, group_id, "b", index=1, body=body)

    assert ([0, 0], 1) == ([sweep(service) for _ in range(2)], bodies(service, "body"))


def test_a_size_that_is_gone_is_told_again_from_the_ledger(service: Service) -> None:
    """
    Celery says nothing and publishes nothing where it is missing; with it the body goes out.
    """
    group_id = publish(service, [ask("a"), ask("b")], theirs("body"))
    service.client.delete(chord_key(service, group_id, ".s"))
    assert 1 == sweep(service)
    finish(service)

    assert 1 == bodies(service, "body")


def test_parts_that_are_gone_are_counted_again(service: Service) -> None:
    """
    One of two was counted and thrown away; all have ended, and the body gets both.
    """
    group_id = publish(service, [ask("a"), ask("b")], theirs("body"))
    die_in_claim(service, group_id)
    finish(service)
    service.client.delete(*(chord_key(service, group_id, one) for one in (".c", ".j", ".d", ".s")))

    assert [1, 0] == [sweep(service) for _ in range(2)]
    assert 1 == bodies(service, "body")


def test_a_chord_of_both_without_size_or_parts_fails_with_a_reason(service: Service) -> None:
    """
    What the caller's own part may have returned is gone: its body fails, once.
    """
    group_id = publish(service, [ask("a"), theirs("b")], theirs("body"))
    service.client.delete(chord_key(service, group_id, ".s"))

    assert [1, 0] == [sweep(service) for _ in range(2)]
    finish(service)
    found = service.app.AsyncResult("body")
    assert ("FAILURE", 0) == (found.state, bodies(service, "body"))
    assert "Redis lost what other tasks" in str(found.result)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda: group(theirs("one"), theirs("two")), id="group"),
        pytest.param(lambda: chain(theirs("one"), theirs("two")), id="chain"),
    ],
)
def test_a_chord_that_failed_is_over_whatever_its_body_is(service: Service, body: Any) -> None:
    """
    Celery drops the size of a chord that has failed; nobody takes that for a loss.
    """
    parts = [ask("a", on_failure="raise"), ask("b", on_failure="raise")]
    publish(service, parts, body())
    first, *others = waiting(service)
    fail(service.engine, [first])
    service.completer.run()
    fail(service.engine, others)
    service.completer.run()

    assert [0, 0, 0] == [sweep(service) for _ in range(3)]


@pytest.mark.parametrize(
    ("body", "first"),
    [
        pytest.param(lambda: theirs("body"), ["body"], id="task"),
        pytest.param(lambda: group(theirs("one"), theirs("two")), ["one", "two"], id="group"),
        pytest.param(lambda: chain(theirs("one"), theirs("two")), ["one"], id="chain"),
    ],
)
def test_after_a_flush_a_chord_goes_on_whatever_its_body_is(
    service: Service, body: Any, first: list[str]
) -> None:
    """
    Half of it was counted; after the flush all of it is, the body goes out once, and again nothing.
    """
    publish(service, [ask("a"), ask("b")], body())
    finish_some(service, waiting(service)[:1])
    service.client.flushall()
    service.loss.run()
    service.completer.run()
    finish(service)
    went_out = [bodies(service, one) for one in first]
    service.client.flushall()
    service.loss.run()
    service.completer.run()

    assert ([1] * len(first), 0) == (went_out, service.client.llen(HOME))


def finish_some(service: Service, job_ids: list[Any]) -> None:
    """Answer these, and complete them."""
    answer(service.engine, job_ids)
    service.completer.run()


def test_parts_that_ignore_their_results_are_counted_again_after_a_flush(service: Service) -> None:
    """
    Nothing is stored for them, so nothing of theirs is missing; the chord counts them all the same.
    """
    parts = [ask("a").set(ignore_result=True), ask("b").set(ignore_result=True)]
    publish(service, parts, theirs("body"))
    finish_some(service, waiting(service)[:1])
    service.client.flushall()
    service.loss.run()
    service.completer.run()
    finish(service)

    assert 1 == bodies(service, "body")
    assert not service.client.exists("celery-task-meta-a", "celery-task-meta-b")


def test_a_flush_leaves_a_chord_alone_that_the_caller_finished(service: Service) -> None:
    """
    Its own part was the last and its worker published the body: no failure is made of that.
    """
    body = theirs("body")
    group_id = publish(service, [ask("a"), theirs("b")], body)
    finish(service)
    return_theirs(service, group_id, "b", index=1, body=body)
    sweep(service)
    service.client.flushall()
    service.loss.run()
    service.completer.run()

    assert "PENDING" == service.app.AsyncResult("body").state


def test_while_redis_has_forgotten_no_chord_is_judged(service: Service) -> None:
    """
    A flush that nobody has noticed yet makes no chord fail and none be over.
    """
    publish(service, [ask("a"), theirs("b")], theirs("body"))
    service.client.flushall()

    assert 0 == sweep(service)
    assert "PENDING" == service.app.AsyncResult("body").state


def test_the_size_of_an_open_chord_outlives_its_callers_settings(service: Service) -> None:
    """
    The caller lets it live for a minute: upkeep keeps it as long as anything of ours.
    """
    group_id = publish(service, [ask("a"), ask("b")], theirs("body"))
    key = chord_key(service, group_id, ".s")
    service.client.expire(key, 60)
    service.announcer.refresh_chords([group_id])

    assert REDIS_LIFETIME_S - 60 <= service.client.ttl(key)
