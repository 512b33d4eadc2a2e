"""Anthropic Message Batches, through Anthropic's SDK."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import anthropic
import httpx2
import pytest

from tests.simulator.conftest import Simulator, Start, say
from tests.support.waiting import wait_until

TEXT = "A queue decouples two parties. The queue keeps work. Lunch is at noon."


def test_a_batch_ends_and_its_answers_are_known_by_custom_id(simulator: Simulator) -> None:
    """
    Every request of a batch comes back once, answered from its own text, at the batch tier.
    """
    created = simulator.messages_batch(
        {f"r{n}": say(f"Note {n} is short. {TEXT}") for n in range(40)}
    )
    ended = simulator.ended(created.id)
    results = simulator.results(created.id)

    assert ("in_progress", 40) == (created.processing_status, created.request_counts.processing)
    assert created.results_url is None
    assert (40, 0) == (ended.request_counts.succeeded, ended.request_counts.processing)
    assert sorted(results) == sorted(f"r{n}" for n in range(40))
    assert {one.message.usage.service_tier for one in results.values()} == {"batch"}
    assert {one.message.stop_reason for one in results.values()} == {"end_turn"}
    assert all("queue" in one.message.content[0].text for one in results.values())


def test_results_are_on_the_host_that_was_asked_and_in_another_order(simulator: Simulator) -> None:
    """
    `results_url` names the caller's own address, and lines do not follow the order of the request.
    """
    ids = [f"r{n:02}" for n in range(40)]
    ended = simulator.ended(simulator.messages_batch({one: say(TEXT) for one in ids}).id)
    order = [one.custom_id for one in simulator.anthropic.messages.batches.results(ended.id)]

    assert ended.results_url == f"{simulator.url}/v1/messages/batches/{ended.id}/results"
    assert order != ids
    assert sorted(order) == ids


@pytest.mark.parametrize(
    ("marker", "kind", "detail"),
    [
        ("invalid", "errored", "invalid_request_error"),
        ("overloaded", "errored", "overloaded_error"),
        ("once-overloaded", "errored", "overloaded_error"),
        ("expired", "expired", None),
        ("canceled", "canceled", None),
        ("refusal", "succeeded", "refusal"),
        ("truncated", "succeeded", "max_tokens"),
        ("pause", "succeeded", "pause_turn"),
    ],
)
def test_a_marker_decides_how_a_line_ends(
    simulator: Simulator, marker: str, kind: str, detail: str | None
) -> None:
    """
    A marker in the prompt causes each kind of result, and leaves the line beside it alone.
    """
    requests = {"marked": say(f"[[sim:{marker}]] {TEXT}"), "plain": say(TEXT)}
    results = simulator.results(simulator.ended(simulator.messages_batch(requests).id).id)
    marked = results["marked"]

    assert (kind, "succeeded") == (marked.type, results["plain"].type)
    if kind == "errored":
        assert detail == marked.error.error.type
        assert marked.error.request_id.startswith("req_")
    if kind == "succeeded":
        assert detail == marked.message.stop_reason


def test_a_line_overloaded_once_is_answered_the_second_time(simulator: Simulator) -> None:
    """
    `once-overloaded` fails the first request with a prompt, in whichever batch, and no later one.
    """
    requests = {"again": say(f"[[sim:once-overloaded]] {TEXT}")}
    first, second = (
        simulator.results(simulator.ended(simulator.messages_batch(requests).id).id)["again"].type
        for _ in range(2)
    )

    assert ("errored", "succeeded") == (first, second)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"stream": True}, "invalid_request_error"),
        ({"speed": "fast"}, "invalid_request_error"),
        ({"max_tokens": 0}, "invalid_request_error"),
        ({"max_tokens": None}, "invalid_request_error"),
        ({"max_tokens": "many"}, "invalid_request_error"),
        ({"model": None}, "invalid_request_error"),
        ({"model": "claude-of-tomorrow"}, "not_found_error"),
        ({"messages": []}, "invalid_request_error"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "invalid_request_error"),
        ({"temperature": 0.5}, "invalid_request_error"),
        ({"top_p": 0.5}, "invalid_request_error"),
        ({"top_k": 5}, "invalid_request_error"),
    ],
)
def test_bad_parameters_show_only_when_the_batch_has_ended(
    simulator: Simulator, change: dict[str, Any], kind: str
) -> None:
    """
    The create accepts a request with bad parameters; its line is `errored` and nothing is billed.
    """
    batch = simulator.messages_batch({"bad": say(TEXT, **change)})
    ended = simulator.ended(batch.id)

    assert (1, 0) == (ended.request_counts.errored, ended.request_counts.succeeded)
    assert kind == simulator.results(batch.id)["bad"].error.error.type
    assert simulator.books()["billed_nano_usd"] == 0


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{"custom_id": "a"}],
        [{"params": say(TEXT)}],
        [{"custom_id": "a b", "params": say(TEXT)}],
        [{"custom_id": "a\n", "params": say(TEXT)}],
        [{"custom_id": "a" * 65, "params": say(TEXT)}],
        [{"custom_id": "a", "params": say(TEXT)}] * 2,
        [{"custom_id": f"r{n}", "params": {}} for n in range(100_001)],
    ],
    ids="empty no-params no-id blank newline long twice too-many".split(),
)
def test_a_wrong_envelope_is_refused_at_once(simulator: Simulator, entries: list[Any]) -> None:
    """
    What is wrong with the envelope is a 400 of the create, with the id that the header has too.
    """
    with pytest.raises(anthropic.BadRequestError) as raised:
        simulator.anthropic.messages.batches.create(requests=entries)

    error: Any = raised.value
    assert "invalid_request_error" == error.body["error"]["type"]
    assert error.request_id == error.body["request_id"]
    assert simulator.books()["batches"] == []


@pytest.mark.full
def test_a_body_over_256_megabytes_is_refused(simulator: Simulator) -> None:
    """
    A body of more than 256 MB is answered with 413 request_too_large.
    """

    def body() -> Iterator[bytes]:
        for _ in range(257):
            yield b" " * 1_000_000

    with pytest.raises(anthropic.RequestTooLargeError) as raised:
        simulator.anthropic.post("/v1/messages/batches", cast_to=httpx2.Response, content=body())

    assert "request_too_large" == json.loads(raised.value.response.content)["error"]["type"]


def test_cancelling_keeps_and_bills_what_had_run(start: Start) -> None:
    """
    A batch cancelled half-way ends with answered and canceled lines; the answered ones are billed.
    """
    simulator = start("--speed", "20", "--seed", "1")
    batch = simulator.messages_batch({f"r{n}": say(TEXT) for n in range(1000)})
    wait_until(
        lambda: simulator.now() > batch.created_at + timedelta(seconds=20),
        within_s=10,
        what="a part of the work",
    )
    asked = simulator.anthropic.messages.batches.cancel(batch.id)
    ended = simulator.ended(batch.id)
    counts = ended.request_counts

    assert "canceling" == asked.processing_status
    assert 1000 == counts.succeeded + counts.canceled
    assert counts.succeeded > 0
    assert counts.canceled > 0
    assert counts.succeeded == simulator.books()["lines"]
    assert ended.cancel_initiated_at is not None


def test_what_had_not_run_when_the_window_closed_is_expired(start: Start) -> None:
    """
    A window shorter than the work ends the batch with answered and expired lines.
    """
    simulator = start("--speed", "600", "--window-s", "40", "--seed", "1")
    ended = simulator.ended(simulator.messages_batch({f"r{n}": say(TEXT) for n in range(200)}).id)
    counts = ended.request_counts

    assert 200 == counts.succeeded + counts.expired
    assert counts.succeeded == simulator.books()["lines"] > 0
    assert counts.expired > 0


def test_batches_are_listed_newest_first_and_paged_both_ways(simulator: Simulator) -> None:
    """
    Without a cursor the newest come first; `after_id` goes to older ones, `before_id` to newer ones.
    """
    made = [simulator.messages_batch({"a": say(TEXT)}).id for _ in range(5)]
    listed = simulator.anthropic.messages.batches.list
    first = listed(limit=2)
    newer = listed(before_id=made[0], limit=2)

    assert made[:2:-1] == [one.id for one in first.data]
    assert (True, made[4], made[3]) == (first.has_more, first.first_id, first.last_id)
    assert [made[2], made[1]] == [one.id for one in newer.data]
    assert made[::-1] == [one.id for one in listed(limit=2)]
    assert [made[0]] == [one.id for one in listed(after_id=made[1]).data]


def test_only_an_ended_batch_can_be_deleted(simulator: Simulator) -> None:
    """
    A running batch refuses to be deleted; a deleted one is unknown, and stays in the books.
    """
    batches = simulator.anthropic.messages.batches
    batch = simulator.messages_batch({"a": say(TEXT)})
    with pytest.raises(anthropic.BadRequestError):
        batches.delete(batch.id)
    simulator.ended(batch.id)

    assert "message_batch_deleted" == batches.delete(batch.id).type
    with pytest.raises(anthropic.NotFoundError):
        batches.retrieve(batch.id)
    assert [("deleted", 1)] == [
        (one["status"], one["billed_lines"]) for one in simulator.books()["batches"]
    ]


def test_results_are_not_there_before_the_end(start: Start) -> None:
    """
    Asking for the results of a running batch is a 404.
    """
    simulator = start("--speed", "1")
    batch = simulator.messages_batch({"a": say(TEXT)})

    with pytest.raises(anthropic.NotFoundError):
        simulator.anthropic.get(f"/v1/messages/batches/{batch.id}/results", cast_to=httpx2.Response)


def test_results_are_archived_29_days_after_creation(start: Start) -> None:
    """
    An old batch is still listed, says when it was archived, and has no results.
    """
    simulator = start("--speed", "10000000")
    batch = simulator.messages_batch({"a": say(TEXT)})
    archived = wait_until(
        lambda: simulator.anthropic.messages.batches.retrieve(batch.id).archived_at,
        within_s=10,
        what="29 simulated days",
    )

    assert 29 == (archived - batch.created_at).days
    assert simulator.anthropic.messages.batches.retrieve(batch.id).results_url is None
