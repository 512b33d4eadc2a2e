"""One create is one POST, and its reply says only what is certain."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from app.providers.anthropic import AnthropicProvider
from app.providers.openai import OpenAIProvider
from app.providers.port import (
    Accepted,
    Ambiguous,
    Handover,
    LaneClosed,
    NotTaken,
    RefusedForGood,
)
from tests.providers.adapters import Adapter
from tests.providers.scripted import Answer, Drop, Reply, Reset, Server

Make = Callable[[Adapter], Handover]


def said(kind: str, message: str = "no", **more: object) -> bytes:
    """An error object in both providers' words."""
    return json.dumps(
        {"type": "error", "error": {"type": kind, "message": message, **more}}
    ).encode()


def test_a_taken_anthropic_batch_is_one_post_of_the_spooled_bytes(
    anthropic: AnthropicProvider, server: Server, handover: Make
) -> None:
    """Anthropic gets the body with its length, and the reply's id, status and times come back."""
    batch = {
        "id": "msgbatch_1",
        "processing_status": "in_progress",
        "expires_at": "2026-11-24T00:00:00Z",
    }
    server.answers(Reply(200, json.dumps(batch).encode(), {"request-id": "req_1"}))
    sent = handover(anthropic)
    assert anthropic.create(sent) == Accepted(
        provider_batch_id="msgbatch_1",
        status="in_progress",
        expires_at=datetime(2026, 11, 24, tzinfo=UTC),
        request_id="req_1",
    )
    (post,) = server.seen
    assert (post.method, post.path) == ("POST", "/v1/messages/batches")
    assert post.body == sent.path.read_bytes()
    assert post.headers["content-length"] == str(len(post.body))
    assert post.headers["content-type"] == "application/json"
    assert post.headers["idempotency-key"] == "uh-sub-1"
    assert "transfer-encoding" not in post.headers
    assert json.loads(post.body) == {
        "requests": [
            {"custom_id": "uh1-a", "params": {"model": "m", "max_tokens": 1}},
            {"custom_id": "uh1-b", "params": {}},
        ]
    }


def test_a_taken_openai_batch_carries_what_an_orphan_is_known_by(
    openai: OpenAIProvider, server: Server, handover: Make
) -> None:
    """OpenAI gets file, endpoint, metadata and the longest life for its output files."""
    batch = {"id": "batch_1", "status": "validating", "expires_at": 1_795_564_800}
    server.answers(Reply(200, json.dumps(batch).encode(), {"x-request-id": "req_1"}))
    sent = handover(openai)
    assert openai.create(sent) == Accepted(
        provider_batch_id="batch_1",
        status="validating",
        expires_at=datetime.fromtimestamp(1_795_564_800, UTC),
        request_id="req_1",
    )
    (post,) = server.seen
    assert json.loads(post.body) == {
        "input_file_id": "file-1",
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        "metadata": {"uh_dep": "dep123", "uh_sub": "sub-1", "sha": sent.sha256, "n": "2"},
        "output_expires_after": {"anchor": "created_at", "seconds": 2_592_000},
    }
    assert post.headers["idempotency-key"] == "uh-sub-1"


def test_every_create_opens_its_own_connection(
    adapter: Adapter, server: Server, handover: Make
) -> None:
    """No create rides on a connection that the provider may be closing."""
    server.answers(Reply(body=b'{"id":"b"}'))
    sent = handover(adapter)
    for _ in range(3):
        assert isinstance(adapter.create(sent), Accepted)
    assert len(set(server.connections)) == 3


@pytest.mark.parametrize(
    "answer",
    [
        Drop(),
        Reset(),
        Reply(500, said("api_error")),
        Reply(502, b"<html>bad gateway</html>"),
        Reply(503, b"<html>busy</html>"),
        Reply(504, said("timeout_error")),
        Reply(408, said("timeout_error")),
        Reply(409, said("conflict_error")),
        Reply(200, b"<html>ok</html>"),
        Reply(200, b'{"object":"batch"}'),
        Reply(200, b'{"id":""}'),
        Reply(200, b'{"id":"b', length=100),
    ],
    ids=repr,
)
def test_a_create_without_a_clear_reply_is_ambiguous_after_one_post(
    adapter: Adapter, server: Server, handover: Make, answer: Answer
) -> None:
    """A lost or unreadable reply is never repeated: the batch may exist."""
    server.answers(answer)
    assert isinstance(adapter.create(handover(adapter)), Ambiguous)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("answer", "retry_after_s"),
    [
        (Reply(429, said("rate_limit_error"), {"retry-after": "17"}), 17),
        (Reply(429, said("rate_limit_error"), {"retry-after": "1000000000"}), 3600),
        (Reply(429, said("rate_limit_error"), {"retry-after": "-3"}), None),
        (Reply(429, said("rate_limit_error"), {"retry-after": "nan"}), None),
        (Reply(429, said("rate_limit_error"), {"retry-after": "soon"}), None),
        (Reply(429, said("rate_limit_error"), {"retry-after": "Thu, 01 Jan 2015 00:00:00 GMT"}), 0),
        (Reply(529, said("overloaded_error")), None),
        (Reply(503, said("server_error", "The engine is currently overloaded")), None),
        (Reply(429, said("rate_limit_error", details={"error_code": "ramp_limit_exceeded"})), None),
    ],
    ids=repr,
)
def test_a_definite_no_says_when_to_come_back(
    adapter: Adapter, server: Server, handover: Make, answer: Reply, retry_after_s: float | None
) -> None:
    """Rate limits and stated overload are a no; waits are within an hour or not believed."""
    server.answers(answer)
    reply = adapter.create(handover(adapter))
    assert isinstance(reply, NotTaken)
    assert reply.retry_after_s == retry_after_s
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Reply(401, said("authentication_error")),
        Reply(402, said("billing_error")),
        Reply(403, said("permission_error")),
        Reply(404, said("not_found_error", "Not found")),
        Reply(400, said("invalid_request_error", details={"error_code": "organization_on_hold"})),
        Reply(400, said("invalid_request_error", "Your credit balance is too low")),
        Reply(400, said("invalid_request_error", code="billing_hard_limit_reached")),
        Reply(429, said("insufficient_quota", code="insufficient_quota")),
        Reply(
            429, said("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"})
        ),
        Reply(400, b"<html>a proxy's own page</html>"),
        Reply(405, b""),
        Reply(307, b"", {"location": "/elsewhere"}),
    ],
    ids=repr,
)
def test_what_only_a_person_can_mend_closes_the_lane(
    adapter: Adapter, server: Server, handover: Make, answer: Reply
) -> None:
    """Keys, money, permissions and wrong addresses are no fault of the jobs."""
    server.answers(answer)
    assert isinstance(adapter.create(handover(adapter)), LaneClosed)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Reply(400, said("invalid_request_error", "requests.0.custom_id: too long")),
        Reply(422, said("invalid_request_error")),
        Reply(413, b"<html>too large</html>"),
    ],
    ids=repr,
)
def test_a_body_at_fault_is_refused_for_good(
    adapter: Adapter, server: Server, handover: Make, answer: Reply
) -> None:
    """A body that the provider understood and refused must be mended or split."""
    server.answers(answer)
    assert isinstance(adapter.create(handover(adapter)), RefusedForGood)


def test_a_refused_connection_is_a_definite_no(unreachable: Adapter, handover: Make) -> None:
    """Nothing was sent, so nothing was made."""
    assert isinstance(unreachable.create(handover(unreachable)), NotTaken)


@pytest.mark.parametrize("status", [400, 404])
def test_a_file_that_openai_cannot_see_yet_is_no_fault_of_the_body(
    openai: OpenAIProvider, server: Server, handover: Make, status: int
) -> None:
    """An upload becomes visible late: the create is not refused for good."""
    message = "Cannot find file file-1 or organization does not have access"
    server.answers(Reply(status, said("invalid_request_error", message)))
    assert isinstance(openai.create(handover(openai)), NotTaken)


def test_an_upload_streams_the_file_under_a_jsonl_name(
    openai: OpenAIProvider, server: Server, handover: Make
) -> None:
    """OpenAI gets one file part with our name and the purpose; its id comes back."""
    server.answers(Reply(body=b'{"id":"file-9"}'))
    sent = handover(openai)
    assert openai.upload(sent.path, name="uh-sub-1") == "file-9"
    (post,) = server.seen
    assert post.path == "/v1/files"
    assert b'filename="uh-sub-1.jsonl"' in post.body
    assert b'name="purpose"\r\n\r\nbatch' in post.body
    assert sent.path.read_bytes() in post.body


def test_an_upload_that_failed_may_be_done_again(
    openai: OpenAIProvider, server: Server, handover: Make
) -> None:
    """A dropped or unreadable upload is not taken, a refused key closes the lane."""
    sent = handover(openai)
    server.answers(Drop(), Reply(500), Reply(200, b"{"), Reply(401, said("authentication_error")))
    kinds = [type(openai.upload(sent.path, name="a.jsonl")) for _ in range(4)]
    assert kinds == [NotTaken, NotTaken, NotTaken, LaneClosed]
    assert len(server.seen) == 4
