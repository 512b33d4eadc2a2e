"""Polls are tolerant of what providers say, and a download cut short never looks whole."""

import io
import json
from datetime import UTC, datetime

import pytest

from app.policy.outcomes import Closed, Transient
from app.providers.anthropic import AnthropicProvider
from app.providers.openai import OpenAIProvider
from app.providers.port import (
    BatchReport,
    Downloaded,
    LaneClosed,
    Line,
    LineError,
    MarkUnreadError,
    NotFound,
    Phase,
    Unreachable,
)
from tests.providers.adapters import Adapter
from tests.providers.scripted import Answer, Drop, Reply, Reset, Server
from tests.providers.test_create import said


def ok(**fields: object) -> Reply:
    return Reply(200, json.dumps(fields).encode())


def polled(adapter: Adapter, server: Server, **fields: object) -> BatchReport:
    server.answers(ok(**fields))
    report = adapter.poll("b1")
    assert isinstance(report, BatchReport), report
    return report


def ended(adapter: Adapter, *files: str) -> BatchReport:
    return BatchReport(
        provider_batch_id="b1",
        phase=Phase.ENDED,
        status="ended",
        result_files=files if adapter.uploads else ("b1",),
    )


def test_an_ended_anthropic_batch_names_its_results(
    anthropic: AnthropicProvider, server: Server
) -> None:
    """Counts are summed, times are aware, and the results are those of the batch itself."""
    report = polled(
        anthropic,
        server,
        id="b1",
        processing_status="ended",
        request_counts={
            "processing": 0,
            "succeeded": 3,
            "errored": 1,
            "canceled": None,
            "expired": 2,
        },
        ended_at="2026-11-23T10:00:00+02:00",
        results_url="https://elsewhere.example/steal",
    )
    assert report == BatchReport(
        provider_batch_id="b1",
        phase=Phase.ENDED,
        status="ended",
        total=6,
        done=6,
        result_files=("b1",),
        ended_at=datetime(2026, 11, 23, 8, tzinfo=UTC),
    )
    assert server.paths() == ["GET /v1/messages/batches/b1"]


@pytest.mark.parametrize("status", ["in_progress", "canceling", "a_status_of_tomorrow"])
def test_an_anthropic_batch_in_any_other_status_runs(
    anthropic: AnthropicProvider, server: Server, status: str
) -> None:
    """An unknown status is kept as it is and polled again."""
    report = polled(anthropic, server, id="b1", processing_status=status, request_counts=None)
    assert (report.phase, report.status, report.total) == (Phase.RUNNING, status, 0)


def test_an_archived_anthropic_batch_has_no_results(
    anthropic: AnthropicProvider, server: Server
) -> None:
    """The batch outlives its results."""
    report = polled(
        anthropic, server, id="b1", processing_status="ended", archived_at="2026-12-24T00:00:00Z"
    )
    assert (report.phase, report.result_files) == (Phase.ENDED, ())


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("validating", Phase.RUNNING),
        ("in_progress", Phase.RUNNING),
        ("finalizing", Phase.RUNNING),
        ("cancelling", Phase.RUNNING),
        ("a_status_of_tomorrow", Phase.RUNNING),
        ("completed", Phase.ENDED),
        ("expired", Phase.ENDED),
        ("cancelled", Phase.ENDED),
        ("failed", Phase.VOID),
    ],
)
def test_an_openai_status_is_a_phase(
    openai: OpenAIProvider, server: Server, status: str, phase: Phase
) -> None:
    """Whichever way a batch ended there may be results; only a failed one is void."""
    report = polled(openai, server, id="b1", status=status, request_counts=None, errors=None)
    assert (report.phase, report.status, report.result_files) == (phase, status, ())


@pytest.mark.parametrize(
    ("output", "error", "files"),
    [
        ("file-o", "file-e", ("file-o", "file-e")),
        ("", "file-e", ("file-e",)),
        ("file-o", "", ("file-o",)),
        (None, "file-e", ("file-e",)),
        ("", None, ()),
    ],
)
def test_an_empty_file_id_is_no_file(
    openai: OpenAIProvider,
    server: Server,
    output: str | None,
    error: str | None,
    files: tuple[str, ...],
) -> None:
    """Null and "" both mean that there is none."""
    report = polled(
        openai,
        server,
        id="b1",
        status="completed",
        output_file_id=output,
        error_file_id=error,
        request_counts={"total": 5, "completed": 3, "failed": 2},
        completed_at=1_795_564_800,
    )
    assert (report.result_files, report.total, report.done) == (files, 5, 5)
    assert report.ended_at == datetime.fromtimestamp(1_795_564_800, UTC)


def test_a_void_batch_says_which_lines_were_at_fault(
    openai: OpenAIProvider, server: Server
) -> None:
    """Errors keep code, message and line; a missing line number stays missing."""
    data = [
        {"code": "invalid_json_line", "message": "not JSON", "line": 3, "param": None},
        {"code": "token_limit_exceeded", "message": "later", "line": None},
    ]
    report = polled(openai, server, id="b1", status="failed", errors={"data": data})
    assert report.errors == (
        LineError(code="invalid_json_line", message="not JSON", line=3),
        LineError(code="token_limit_exceeded", message="later"),
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "billing_hard_limit_reached", "message": "Billing limit reached"}, Closed),
        ({"code": "invalid_request", "message": "You have reached your usage limit."}, Closed),
        ({"code": "not_found", "message": "Cannot find file file-1."}, Transient),
        ({"code": "server_error", "message": "The server had an error."}, Transient),
        ({"code": "model_not_found", "message": "This file's model does not exist."}, type(None)),
        ({"code": "not_found", "message": "Cannot find file file-1.", "line": 3}, type(None)),
        ({"code": "token_limit_exceeded", "message": "Limit reached."}, type(None)),
        ({"code": "duplicate_custom_id", "message": "'a' is used twice."}, type(None)),
    ],
)
def test_a_void_batch_says_whether_its_requests_are_blameless(
    openai: OpenAIProvider, server: Server, error: dict[str, object], kind: type
) -> None:
    """An account, or a file that the validator does not see, is no request's fault; a line is."""
    report = polled(openai, server, id="b1", status="failed", errors={"data": [error]})
    assert kind is type(report.blameless)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Reply(404, said("not_found_error")), NotFound),
        (Reply(401, said("authentication_error")), LaneClosed),
        (Reply(403, said("permission_error")), LaneClosed),
        (Reply(400, said("invalid_request_error")), Unreachable),
        (Reply(500, said("api_error")), Unreachable),
        (Reply(200, b"<html>"), Unreachable),
        (Drop(), Unreachable),
        (Reset(), Unreachable),
    ],
    ids=repr,
)
def test_a_question_without_an_answer_is_asked_again_later(
    adapter: Adapter, server: Server, answer: Answer, expected: type
) -> None:
    """Polls and downloads fail alike, are sent once, and leave nothing written."""
    server.answers(answer)
    assert isinstance(adapter.poll("b1"), expected)
    if answer != Reply(200, b"<html>"):
        into = io.BytesIO(b"kept")
        into.seek(4)
        assert isinstance(adapter.download(ended(adapter, "f"), into), expected)
        assert into.getvalue() == b"kept"
        assert len(server.seen) == 2


def test_a_rate_limited_poll_says_when_to_come_back(adapter: Adapter, server: Server) -> None:
    """The wait is handed on, not slept."""
    server.answers(Reply(429, said("rate_limit_error"), {"retry-after": "3000"}))
    reply = adapter.poll("b1")
    assert isinstance(reply, Unreachable)
    assert reply.retry_after_s == 3000


def test_results_are_fetched_where_the_key_belongs(
    anthropic: AnthropicProvider, server: Server
) -> None:
    """The address is our own base URL's, whatever the batch says."""
    server.answers(Reply(body=b'{"custom_id":"a"}\n'))
    into = io.BytesIO()
    assert anthropic.download(ended(anthropic), into) == Downloaded(bytes_count=18)
    assert server.paths() == ["GET /v1/messages/batches/b1/results"]
    assert into.getvalue() == b'{"custom_id":"a"}\n'


def test_both_openai_files_are_read_as_one(openai: OpenAIProvider, server: Server) -> None:
    """A file without a last newline does not swallow the first line of the next."""
    line = b'{"custom_id":"%s","error":{"code":"batch_expired"}}'
    server.answers(Reply(body=line % b"a"), Reply(body=line % b"b"))
    into = io.BytesIO()
    done = openai.download(ended(openai, "file-o", "file-e"), into)
    assert done == Downloaded(bytes_count=len(into.getvalue()))
    assert server.paths() == ["GET /v1/files/file-o/content", "GET /v1/files/file-e/content"]
    into.seek(0)
    found = list(openai.read_lines(into, endpoint="responses"))
    assert [line.custom_id for line in found if isinstance(line, Line)] == ["a", "b"]


def test_a_download_cut_short_never_looks_whole(adapter: Adapter, server: Server) -> None:
    """Fewer bytes than stated are unreachable results, and none of them stays."""
    server.answers(Reply(body=b'{"custom_id":"a"}\n' * 10_000, length=500_000))
    into = io.BytesIO()
    assert isinstance(adapter.download(ended(adapter, "f"), into), Unreachable)
    assert into.getvalue() == b""


def test_a_second_file_cut_short_takes_the_first_with_it(
    openai: OpenAIProvider, server: Server
) -> None:
    """Half of the results is none of them."""
    server.answers(Reply(body=b"{}\n"), Reply(body=b"{}\n", length=50))
    into = io.BytesIO()
    assert isinstance(openai.download(ended(openai, "o", "e"), into), Unreachable)
    assert into.getvalue() == b""


def test_an_ended_batch_without_files_downloads_nothing(
    openai: OpenAIProvider, server: Server
) -> None:
    """No file is asked for, and nothing is written."""
    into = io.BytesIO()
    assert openai.download(ended(openai), into) == Downloaded(bytes_count=0)
    assert server.seen == []


def test_the_mark_is_the_newest_batch(anthropic: AnthropicProvider, server: Server) -> None:
    """Anthropic lists newest first; an empty workspace has no mark."""
    server.answers(ok(data=[{"id": "b9"}], has_more=True), ok(data=[], has_more=False))
    assert anthropic.newest_batch_id() == "b9"
    assert anthropic.newest_batch_id() is None
    assert server.paths() == ["GET /v1/messages/batches?limit=1"] * 2


@pytest.mark.parametrize(
    ("answer", "reply"),
    [(Reply(500), Unreachable), (Reply(401), LaneClosed), (Reply(200, b"["), Unreachable)],
    ids=repr,
)
def test_a_mark_that_could_not_be_read_is_not_taken_for_none(
    anthropic: AnthropicProvider, server: Server, answer: Answer, reply: type
) -> None:
    """Without the mark an orphan could not be told from older batches."""
    server.answers(answer)
    with pytest.raises(MarkUnreadError) as caught:
        anthropic.newest_batch_id()
    assert isinstance(caught.value.reply, reply)
