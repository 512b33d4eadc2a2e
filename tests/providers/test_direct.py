"""A direct call is sent once, and ends as what a batch line would have ended as."""

import json

import pytest

from app.policy.outcomes import Answered, Finish, Rejected, Transient
from app.providers.openai import OpenAIProvider
from app.providers.port import Ambiguous, Direct, LaneClosed, NotTaken
from tests.providers.adapters import ENDPOINTS, Adapter
from tests.providers.scripted import Answer, Drop, Reply, Reset, Server
from tests.providers.test_create import said
from tests.providers.test_lines import message, response

REQUEST = b'{"input":"hi","messages":[{"content":"hi","role":"user"}],"model":"m"}'
PATHS = {"anthropic": "POST /v1/messages", "openai": "POST /v1/responses"}
ANSWERS = {
    "anthropic": json.loads(json.dumps(message()))["result"]["message"],
    "openai": json.loads(json.dumps(response()))["response"]["body"],
}


def call(adapter: Adapter) -> object:
    return adapter.answer(REQUEST, endpoint=ENDPOINTS[adapter.name], timeout_s=0.5)


def test_an_answer_is_translated_as_a_line_would_be(adapter: Adapter, server: Server) -> None:
    """The stored bytes travel as they are; the reply's headers name the request."""
    body = json.dumps(ANSWERS[adapter.name]).encode()
    server.answers(Reply(200, body, {"request-id": "req_9", "x-request-id": "req_9"}))
    reply = call(adapter)
    assert isinstance(reply, Direct)
    answered = reply.outcome
    assert isinstance(answered, Answered)
    assert (answered.finish, answered.request_id) == (Finish.ANSWERED, "req_9")
    assert answered.output.startswith("Hello")
    assert server.paths() == [PATHS[adapter.name]]
    assert server.seen[0].body == REQUEST


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Reply(400, said("invalid_request_error")), Direct),
        (Reply(404, said("not_found_error", "model: m")), Direct),
        (Reply(413, b""), Direct),
        (Reply(404, b"<html>"), LaneClosed),
        (Reply(401, said("authentication_error")), LaneClosed),
        (Reply(402, said("billing_error")), LaneClosed),
        (Reply(429, said("insufficient_quota", code="insufficient_quota")), LaneClosed),
        (Reply(429, said("rate_limit_error")), NotTaken),
        (Reply(529, said("overloaded_error")), NotTaken),
        (Reply(500, said("api_error")), Ambiguous),
        (Reply(504, said("timeout_error")), Ambiguous),
        (Reply(200, b"<html>"), Ambiguous),
        (Reply(200, b"{}"), Ambiguous),
        (Drop(), Ambiguous),
        (Reset(), Ambiguous),
    ],
    ids=repr,
)
def test_a_failed_direct_call_is_sent_once_and_says_what_is_certain(
    adapter: Adapter, server: Server, answer: Answer, expected: type
) -> None:
    """Only a definite no may be sent again; only the request's own fault is an outcome."""
    server.answers(answer)
    reply = call(adapter)
    assert isinstance(reply, expected)
    if isinstance(reply, Direct):
        assert isinstance(reply.outcome, Rejected)
    assert len(server.seen) == 1


def test_a_refused_connection_was_no_call(unreachable: Adapter) -> None:
    """Nothing was sent, so nothing was billed."""
    assert isinstance(call(unreachable), NotTaken)


def test_a_provider_that_says_nothing_leaves_the_call_in_doubt(
    adapter: Adapter, server: Server
) -> None:
    """A call that runs into its own timeout may have been billed."""
    with server.silence():
        assert isinstance(call(adapter), Ambiguous)
    assert len(server.seen) == 1


def test_a_failed_response_is_an_outcome(openai: OpenAIProvider, server: Server) -> None:
    """HTTP 200 with status `failed` may be repeated by policy, not by the adapter."""
    failed = {**ANSWERS["openai"], "status": "failed", "error": {"code": "server_error"}}
    server.answers(Reply(200, json.dumps(failed).encode()))
    reply = call(openai)
    assert isinstance(reply, Direct)
    assert isinstance(reply.outcome, Transient)
