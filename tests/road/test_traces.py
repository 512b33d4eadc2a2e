"""A caller's trace goes through the service for as long as a batch takes, and out of it again."""

import json
from typing import Any, Final

import pytest

from dev.stack import Stack
from tests.notify.hooks import verified
from tests.notify.receivers import Inbox
from tests.road.callers import Caller
from tests.support.waiting import wait_until

TRACE_ID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
TIERS: Final = ("sync", "near-real-time", "batch")
Ids = dict[str, Any]
Spans = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def ids(caller: Caller) -> Ids:
    """The ids of what was published with a trace."""
    process = caller.start("tracing", "tracing.py", PARENT)
    assert 0 == process.wait(within_s=150), process.tail()
    found: Ids = json.loads(process.tail().splitlines()[-1])
    return found


def printed(stack: Stack, process: str) -> list[dict[str, Any]]:
    """The spans that a process has printed."""
    lines = stack.process(process).log.read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"name": ')]


@pytest.fixture(scope="module")
def spans(stack: Stack, ids: Ids) -> Spans:
    """The spans of calls, by task, once that of the last one is there."""

    def found() -> Spans:
        each = printed(stack, "completer")
        return {one["attributes"]["unhurried.task_id"]: one for one in each}

    wanted = {ids["told"], ids["alone"], ids["batch"]["link"], ids["batch"]["failing"]}
    wait_until(lambda: wanted <= found().keys(), within_s=30, what="the spans of calls")
    return found()


@pytest.mark.parametrize("follows", ["link", "chain", "chord", "errback"])
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.usefixtures("ids")
def test_what_follows_a_call_belongs_to_its_trace(caller: Caller, follows: str, tier: str) -> None:
    """
    Links, chain steps, chord bodies and errbacks carry what the call carried.
    """
    name = f"{follows} {tier}"
    event = wait_until(
        lambda: [one for one in caller.events("traced") if one["name"] == name],
        within_s=30,
        what=name,
    )[0]

    assert [PARENT, "vendor=own"] == event["trace"]


@pytest.mark.usefixtures("ids")
def test_a_call_without_a_trace_gets_none(caller: Caller) -> None:
    """
    Nobody else's trace goes on in what follows it.
    """
    event = wait_until(
        lambda: [one for one in caller.events("traced") if one["name"] == "alone"],
        within_s=30,
        what="what follows",
    )[0]

    assert [None, None] == event["trace"]


def test_a_webhook_carries_the_trace(ids: Ids, inbox: Inbox) -> None:
    """
    As HTTP headers, for a receiver that traces.
    """
    got = wait_until(
        lambda: [one for one in inbox.got if verified(one).data["task_id"] == ids["told"]],
        within_s=30,
        what="the webhook",
    )[0]

    assert (PARENT, "vendor=own") == (got.headers["traceparent"], got.headers["tracestate"])


def test_a_span_is_in_its_callers_trace(spans: Spans, ids: Ids) -> None:
    """
    From publishing to the end, with model, tier, outcome and tokens.
    """
    span = spans[ids["batch"]["link"]]
    told = span["attributes"]

    assert (f"0x{TRACE_ID}", "0x00f067aa0ba902b7") == (
        span["context"]["trace_id"],
        span["parent_id"],
    )
    assert ("anthropic", "chat", "claude-haiku-4-5", "batch", "answered") == tuple(
        told[name]
        for name in (
            "gen_ai.provider.name",
            "gen_ai.operation.name",
            "gen_ai.request.model",
            "unhurried.tier",
            "unhurried.outcome",
        )
    )
    assert told["gen_ai.usage.input_tokens"] > 0
    assert span["start_time"] < span["end_time"]


def test_a_call_is_linked_to_its_batch(stack: Stack, spans: Spans, ids: Ids) -> None:
    """
    The batch is one span without links, whose ids each of its calls knows.
    """
    (link,) = spans[ids["batch"]["link"]]["links"]

    def batch() -> dict[str, Any] | None:
        each = printed(stack, "collector")
        return next(
            (one for one in each if one["context"]["span_id"] == link["context"]["span_id"]), None
        )

    found = wait_until(batch, within_s=30, what="the batch's span")
    assert link["context"]["trace_id"] == found["context"]["trace_id"]
    assert [] == found["links"]
    assert found["attributes"]["unhurried.provider_batch_id"].startswith("msgbatch_")


def test_a_failure_says_so_by_its_code(spans: Spans, ids: Ids) -> None:
    """
    What the provider said is not in it.
    """
    span = spans[ids["batch"]["failing"]]

    assert "invalid_request_error" == span["attributes"]["error.type"]
    assert {"status_code": "ERROR"} == span["status"]


def test_a_direct_call_has_a_span_of_its_own(stack: Stack, ids: Ids) -> None:
    """
    From the process that answered it, in its caller's trace; one that fails says so by its code.
    """
    wanted = (ids["sync"]["link"], ids["sync"]["failing"])

    def told() -> list[dict[str, Any]] | None:
        found = {one["attributes"]["unhurried.task_id"]: one for one in printed(stack, "sync")}
        return [found[one] for one in wanted] if found.keys() >= set(wanted) else None

    answered, failed = wait_until(told, within_s=30, what="the spans of direct calls")
    assert (f"0x{TRACE_ID}", "0x00f067aa0ba902b7") == (
        answered["context"]["trace_id"],
        answered["parent_id"],
    )
    about = answered["attributes"]
    assert ("sync", "answered") == (about["unhurried.tier"], about["unhurried.outcome"])
    assert about["gen_ai.usage.output_tokens"] > 0
    assert "invalid_request_error" == failed["attributes"]["error.type"]
    assert {"status_code": "ERROR"} == failed["status"]


def test_a_call_without_a_trace_begins_one(spans: Spans, ids: Ids) -> None:
    """
    It is still seen, and linked to its batch.
    """
    span = spans[ids["alone"]]

    assert span["parent_id"] is None
    assert span["links"]
