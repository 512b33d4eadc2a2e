"""OpenAI's files and batches, through OpenAI's SDK."""

from typing import Any

import openai
import pytest

from tests.simulator.conftest import GPT, Simulator, Start, line
from tests.support.waiting import wait_until

TEXT = "A queue decouples two parties. The queue keeps work. Lunch is at noon."


def test_a_batch_goes_through_its_states_to_an_output_file(start: Start) -> None:
    """
    validating, in_progress, finalizing, completed: in that order, with moments and live counts.
    """
    simulator = start("--speed", "60", "--seed", "3")
    created = simulator.responses_batch([line(f"r{n}", TEXT) for n in range(20)])
    seen = [created.status]

    def look() -> bool:
        batch = simulator.openai.batches.retrieve(created.id)
        if batch.status != seen[-1]:
            seen.append(batch.status)
        return batch.status == "completed"

    wait_until(look, within_s=30, what="completion")
    ended = simulator.terminal(created.id)
    moments = [ended.created_at, ended.in_progress_at, ended.finalizing_at, ended.completed_at]

    assert ["validating", "in_progress", "finalizing", "completed"] == seen
    assert moments == sorted(one for one in moments if one is not None)
    assert created.request_counts is not None
    assert ended.request_counts is not None
    assert 0 == created.request_counts.total
    assert (20, 20, 0) == (
        ended.request_counts.total,
        ended.request_counts.completed,
        ended.request_counts.failed,
    )
    assert (GPT, None) == (ended.model, ended.error_file_id)
    assert len(simulator.lines(ended.output_file_id)) == 20


def test_answers_are_responses_whose_usage_adds_up(simulator: Simulator) -> None:
    """
    A line's body is a Response at the batch tier; the batch's usage is the sum over its lines.
    """
    lines = [line(f"r{n}", f"Note {n} is short. {TEXT}") for n in range(10)]
    batch = simulator.terminal(simulator.responses_batch(lines).id)
    bodies = [one["response"]["body"] for one in simulator.lines(batch.output_file_id).values()]

    assert {("completed", "batch", GPT)} == {
        (body["status"], body["service_tier"], body["model"]) for body in bodies
    }
    assert all("queue" in body["output"][0]["content"][0]["text"] for body in bodies)
    assert batch.usage is not None
    assert sum(body["usage"]["total_tokens"] for body in bodies) == batch.usage.total_tokens


@pytest.mark.parametrize(
    ("marker", "status", "code"),
    [
        ("invalid", 400, None),
        ("overloaded", 500, "server_error"),
        ("expired", None, "batch_expired"),
        ("canceled", None, "batch_cancelled"),
    ],
)
def test_a_marker_sends_a_line_to_the_error_file(
    simulator: Simulator, marker: str, status: int | None, code: str | None
) -> None:
    """
    A failed line is in the error file only, the line beside it in the output file only.
    """
    lines = [line("marked", f"[[sim:{marker}]] {TEXT}"), line("plain", TEXT)]
    batch = simulator.terminal(simulator.responses_batch(lines).id)
    errors, outputs = simulator.lines(batch.error_file_id), simulator.lines(batch.output_file_id)
    marked = errors["marked"]

    assert (["marked"], ["plain"]) == (list(errors), list(outputs))
    if status is None:
        assert (None, code) == (marked["response"], marked["error"]["code"])
    else:
        error = marked["response"]["body"]["error"]
        assert (status, code) == (marked["response"]["status_code"], error["code"])
    assert ("expired" if marker == "expired" else "completed") == batch.status


@pytest.mark.parametrize(
    ("marker", "status", "reason", "kind"),
    [
        ("refusal", "completed", None, "refusal"),
        ("truncated", "incomplete", {"reason": "max_output_tokens"}, "output_text"),
        ("failed", "failed", None, None),
    ],
)
def test_status_200_is_not_success(
    simulator: Simulator, marker: str, status: str, reason: object, kind: str | None
) -> None:
    """
    Refused, truncated and failed responses are in the output file with HTTP status 200.
    """
    batch = simulator.responses_batch([line("marked", f"[[sim:{marker}]] {TEXT}")])
    ended = simulator.terminal(batch.id)
    response = simulator.lines(ended.output_file_id)["marked"]["response"]
    body = response["body"]
    parts = [part["type"] for item in body["output"] for part in item["content"]]

    assert (200, status, reason) == (
        response["status_code"],
        body["status"],
        body["incomplete_details"],
    )
    assert [kind] == (parts or [None])


def test_a_batch_without_an_answer_has_no_output_file(simulator: Simulator) -> None:
    """
    A batch whose every line failed is completed: the output file is null, the error file is not.
    """
    batch = simulator.responses_batch([line("marked", "[[sim:invalid]]")])
    ended = simulator.terminal(batch.id)

    assert ("completed", None) == (ended.status, ended.output_file_id)
    assert ended.error_file_id is not None
    assert simulator.books()["lines"] == 0


@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        ([line("a", TEXT), "{nonsense"], "invalid_json_line", 2),
        ([line("a", TEXT), "[" * 100_000], "invalid_json_line", 2),
        ([line("a", TEXT), line("a", TEXT)], "duplicate_custom_id", 2),
        ([line("a", TEXT), line("b", TEXT, model="gpt-5-nano")], "mismatched_model", 2),
        ([line("a", TEXT, model="gpt-of-tomorrow")], "model_not_found", 1),
        ([{**line("a", TEXT), "url": "/v1/embeddings"}], "mismatched_endpoint", 1),
        ([{**line("a", TEXT), "method": "GET"}], "invalid_method", 1),
        ([{**line("a", TEXT), "body": None}], "missing_required_parameter", 1),
        ([{"custom_id": 5}], "missing_required_parameter", 1),
        ([line(f"r{n}", "x") for n in range(50_001)], "too_many_requests", None),
    ],
    ids="json nesting twice models unknown url method body id count".split(),
)
def test_a_wrong_file_fails_the_batch_late_and_whole(
    simulator: Simulator, lines: list[Any], code: str, number: int | None
) -> None:
    """
    The create succeeds; the batch then fails, names the line, has no files and costs nothing.
    """
    created = simulator.responses_batch(lines)
    failed = simulator.terminal(created.id)

    assert ("validating", "failed") == (created.status, failed.status)
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert (code, number) == (failed.errors.data[0].code, failed.errors.data[0].line)
    assert (None, None) == (failed.output_file_id, failed.error_file_id)
    assert simulator.books()["billed_nano_usd"] == 0


def test_an_unknown_endpoint_fails_the_batch(simulator: Simulator) -> None:
    """
    A batch for an endpoint that is not simulated fails when it is validated.
    """
    batch = simulator.responses_batch([line("a", TEXT)], endpoint="/v1/moderations")
    failed = simulator.terminal(batch.id)

    assert failed.errors is not None
    assert failed.errors.data is not None
    assert "invalid_endpoint" == failed.errors.data[0].code


def test_the_enqueued_token_limit_counts_live_batches_of_a_model(start: Start) -> None:
    """
    A batch that would take its model over the limit fails; once the first has ended it is taken.
    """
    simulator = start("--speed", "60", "--enqueued-tokens", "1000")
    lines = [line("a", "word " * 600)]
    first = simulator.responses_batch(lines)
    over = simulator.responses_batch(lines)
    other = simulator.responses_batch([line("a", "word " * 600, model="gpt-5-nano")])
    failed = simulator.terminal(over.id)

    assert failed.errors is not None
    assert failed.errors.data is not None
    assert "token_limit_exceeded" == failed.errors.data[0].code
    assert "completed" == simulator.terminal(first.id).status
    assert "completed" == simulator.terminal(other.id).status
    assert "completed" == simulator.terminal(simulator.responses_batch(lines).id).status


@pytest.mark.parametrize(
    "change",
    [
        {"input_file_id": "file-of-nobody"},
        {"metadata": {str(n): "x" for n in range(17)}},
        {"metadata": {"key": "x" * 513}},
        {"output_expires_after": {"anchor": "created_at", "seconds": 60}},
    ],
    ids="file pairs value lifetime".split(),
)
def test_a_create_that_cannot_be_meant_is_refused_at_once(
    simulator: Simulator, change: dict[str, Any]
) -> None:
    """
    An unknown file, too much metadata or an impossible lifetime is a 400, and makes no batch.
    """
    with pytest.raises(openai.BadRequestError):
        simulator.responses_batch([line("a", TEXT)], **change)

    assert simulator.books()["batches"] == []


def test_a_file_must_be_named_jsonl(simulator: Simulator) -> None:
    """
    A batch of a file with another ending is refused at once.
    """
    file_id = simulator.upload([line("a", TEXT)], name="in.txt")

    with pytest.raises(openai.BadRequestError, match=r"Must be \.jsonl"):
        simulator.responses_batch([], input_file_id=file_id)


def test_cancelling_keeps_and_bills_what_had_run(start: Start) -> None:
    """
    cancelling, then cancelled: answered lines in the output file and billed, the rest in the other.
    """
    simulator = start("--speed", "20", "--seed", "1")
    batch = simulator.responses_batch([line(f"r{n}", TEXT) for n in range(1000)])

    def has_begun() -> bool:
        counts = simulator.openai.batches.retrieve(batch.id).request_counts
        return counts is not None and counts.completed > 0

    wait_until(has_begun, within_s=20, what="the first answers")
    asked = simulator.openai.batches.cancel(batch.id)
    ended = simulator.terminal(batch.id)
    outputs, errors = simulator.lines(ended.output_file_id), simulator.lines(ended.error_file_id)

    assert ("cancelling", "cancelled") == (asked.status, ended.status)
    assert 1000 == len(outputs) + len(errors)
    assert len(outputs) == simulator.books()["lines"] > 0
    assert {"batch_cancelled"} == {one["error"]["code"] for one in errors.values()}


def test_cancelling_a_wrong_batch_before_it_failed_cancels_it(start: Start) -> None:
    """
    A batch cancelled while it is validated is cancelled, whatever validation would have said.
    """
    simulator = start("--speed", "20")
    batch = simulator.responses_batch([line("a", TEXT), "{nonsense"])
    simulator.openai.batches.cancel(batch.id)
    ended = simulator.terminal(batch.id)

    assert ("cancelled", None, None) == (ended.status, ended.errors, ended.output_file_id)


def test_what_had_not_run_when_the_window_closed_is_expired(start: Start) -> None:
    """
    An expired batch has both files: what ran, which is billed, and the rest as batch_expired.
    """
    simulator = start("--speed", "600", "--window-s", "40", "--seed", "1")
    batch = simulator.responses_batch([line(f"r{n}", TEXT) for n in range(200)])
    ended = simulator.terminal(batch.id)
    outputs, errors = simulator.lines(ended.output_file_id), simulator.lines(ended.error_file_id)

    assert ("expired", 200) == (ended.status, len(outputs) + len(errors))
    assert len(outputs) == simulator.books()["lines"] > 0
    assert {"batch_expired"} == {one["error"]["code"] for one in errors.values()}
    assert ended.expired_at == ended.expires_at


def test_metadata_and_lifetimes_are_kept(simulator: Simulator) -> None:
    """
    A batch repeats its metadata, and its output file lives as long as was asked.
    """
    batch = simulator.responses_batch(
        [line("a", TEXT)],
        metadata={"pack": "p1"},
        output_expires_after={"anchor": "created_at", "seconds": 3600},
    )
    ended = simulator.terminal(batch.id)
    output = simulator.openai.files.retrieve(str(ended.output_file_id))

    assert {"pack": "p1"} == ended.metadata
    assert ("batch_output", 3600) == (output.purpose, (output.expires_at or 0) - output.created_at)


def test_batches_are_listed_newest_first_in_pages(simulator: Simulator) -> None:
    """
    Paging walks over every batch once, from the newest to the oldest.
    """
    made = [simulator.responses_batch([line("a", TEXT)]).id for _ in range(5)]

    assert made[::-1] == [one.id for one in simulator.openai.batches.list(limit=2)]


def test_files_are_kept_listed_read_and_deleted(simulator: Simulator) -> None:
    """
    A file comes back byte for byte, is listed by purpose and order, and is unknown once deleted.
    """
    files = simulator.openai.files
    first, second = simulator.upload(["one"]), simulator.upload(["two"])
    other = files.create(
        file=("notes.txt", b"three"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 7200},
    )

    assert b"one\n" == files.content(first).content
    assert (4, "in.jsonl") == (files.retrieve(first).bytes, files.retrieve(first).filename)
    assert 7200 == (other.expires_at or 0) - other.created_at
    assert [second, first] == [one.id for one in files.list(purpose="batch", limit=1)]
    assert [first, second, other.id] == [one.id for one in files.list(order="asc")]
    assert files.delete(first).deleted
    with pytest.raises(openai.NotFoundError):
        files.content(first)
