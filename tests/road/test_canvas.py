"""Every canvas shape from a caller of its own: the original Celery task completes, as if it had run."""

import hashlib
import json
from typing import Any

import pytest

from dev.stack import Stack
from tests.road.conftest import Caller, books
from tests.support.waiting import wait_until

pytestmark = pytest.mark.parametrize("provider", ["anthropic", "openai"])

Canvas = dict[str, Any]
GOOD = "Tell me about queues. A queue decouples two parties. Batches are cheap."


def runs(caller: Caller, event: str, name: str) -> list[dict[str, Any]]:
    """How often a task of the caller ran, and with what."""
    return [line for line in caller.events(event) if line["name"] == name]


def times_billed(stack: Stack, provider: str, prompt: str) -> int:
    """How often the provider billed this very prompt."""
    request: dict[str, Any] = {"input": prompt, "model": "gpt-5-mini"}
    if provider == "anthropic":
        turns = [{"role": "user", "content": prompt}]
        request = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": turns}
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return sum(line["prompt"] == digest for line in books(stack, "/lines?limit=10000"))


def test_get_returns_the_answer_with_its_times(canvas: Canvas, provider: str) -> None:
    """
    AsyncResult.get gives the wire result: output, usage, price, as_of and produced_at.
    """
    value = canvas[provider]["get"]["value"]

    assert (1, "batch", "answered", None) == (
        value["schema"],
        value["tier"],
        value["outcome"],
        value.get("error"),
    )
    assert "queue" in value["output"].lower()
    assert value["as_of"] < value["produced_at"]
    assert value["usage"]["input_tokens"] > 0
    assert value["cost_nano_usd"] > 0


def test_a_failing_job_raises_its_own_error(canvas: Canvas, provider: str) -> None:
    """
    With the policy `raise`, the provider's words arrive as an exception of the client's own tree.
    """
    raised = canvas[provider]["get failing"]

    assert ("RequestRejected", "invalid_request_error") == (raised["raised"], raised["code"])


def test_a_failing_job_may_be_a_value(canvas: Canvas, provider: str) -> None:
    """
    With the policy `return`, the task succeeds and its result says what went wrong.
    """
    value = canvas[provider]["get returned"]["value"]

    assert ("invalid_request_error", False) == (
        value["error"]["code"],
        value["error"]["retryable"],
    )


def test_a_group_returns_in_order(canvas: Canvas, provider: str) -> None:
    """
    A group's results are all there.
    """
    assert ["answered", "answered"] == [
        part["outcome"] for part in canvas[provider]["group"]["value"]
    ]


def test_a_chord_runs_its_body_once_in_header_order(
    canvas: Canvas, caller: Caller, provider: str
) -> None:
    """
    The caller's own body runs once, with the parts in the order of the header.
    """
    assert "body of chord" == canvas[provider]["chord"]["value"]
    mine = [
        run for run in runs(caller, "body", "chord") if run["parts"][0]["key"] == f"{provider}:0"
    ]

    assert [[f"{provider}:{n}" for n in range(4)]] == [
        [part["key"] for part in run["parts"]] for run in mine
    ]


def test_the_same_keys_in_two_chords_are_bought_once(
    canvas: Canvas, caller: Caller, stack: Stack, provider: str
) -> None:
    """
    Two chords over the same keys each run their body; each key is one request at the provider.
    """
    name = "chord of the same keys"
    assert f"body of {name}" == canvas[provider][name]["value"]
    assert [1] == [
        len(
            [run for run in runs(caller, "body", name) if run["parts"][0]["key"] == f"{provider}:0"]
        )
    ]
    assert [1] * 4 == [times_billed(stack, provider, f"{GOOD} Part {n}.") for n in range(4)]


def test_a_failing_part_fails_the_chord_and_calls_its_errback(
    canvas: Canvas, caller: Caller, provider: str
) -> None:
    """
    With the policy `raise` the body never runs, and its errback runs once.
    """
    # get() on a chord's result raises its first failed part's own error: Celery looks at parents first.
    assert "RequestRejected" == canvas[provider]["chord failing"]["raised"]
    assert [] == runs(caller, "body", "chord failing")
    wait_until(
        lambda: len(runs(caller, "errback", "chord failing")) == 2,
        within_s=20,
        what="one errback for each provider",
    )


def test_a_part_that_returns_its_error_lets_the_body_run(
    canvas: Canvas, caller: Caller, provider: str
) -> None:
    """
    With the policy `return` the body sees which part could not be done.
    """
    assert "body of chord returning" == canvas[provider]["chord returning"]["value"]
    codes = [
        [part["code"] for part in run["parts"]] for run in runs(caller, "body", "chord returning")
    ]

    assert [[None, "invalid_request_error"]] * 2 == codes


def test_a_chord_may_mix_in_ordinary_tasks(canvas: Canvas, provider: str) -> None:
    """
    Parts that the caller's own worker runs count like ours.
    """
    name = "chord with an ordinary task"

    assert f"body of {name}" == canvas[provider][name]["value"]


@pytest.mark.parametrize("shape", ["chain first", "chain middle"])
def test_a_chain_goes_on_in_the_callers_worker(canvas: Canvas, provider: str, shape: str) -> None:
    """
    The step after ours gets our result.
    """
    assert canvas[provider][shape]["value"] > 10


def test_a_previous_step_becomes_the_users_turn(canvas: Canvas, provider: str) -> None:
    """
    Text that the step before returns is what the model is asked.
    """
    assert "mountains" in canvas[provider]["chain last"]["value"]["output"]


def test_a_failing_step_fails_the_chain(canvas: Canvas, caller: Caller, provider: str) -> None:
    """
    The next step never runs; the chain's result is the failure.
    """
    assert "RequestRejected" == canvas[provider]["chain failing"]["raised"]
    assert [] == runs(caller, "last", "chain failing")


@pytest.mark.parametrize("name", ["link", "second link"])
def test_links_run_once_each(canvas: Canvas, caller: Caller, provider: str, name: str) -> None:
    """
    Every callback of a job gets its result, once.
    """
    assert "answered" == canvas[provider]["link"]["value"]["outcome"]
    wait_until(lambda: len(runs(caller, "linked", name)) == 2, within_s=20, what="both links")


def test_link_error_gets_the_failed_tasks_id(canvas: Canvas, caller: Caller, provider: str) -> None:
    """
    An errback runs in the caller's worker with the id of the task that failed.
    """
    assert "RequestRejected" == canvas[provider]["link_error"]["raised"]
    wait_until(
        lambda: len(runs(caller, "errback", "link_error")) == 2, within_s=20, what="both errbacks"
    )


def test_a_chord_of_chains_runs_its_body(canvas: Canvas, provider: str) -> None:
    """
    Parts that are chains ending in our task count as one part each.
    """
    assert "body of chord of chains" == canvas[provider]["chord of chains"]["value"]


def test_a_mail_ends_a_chord(canvas: Canvas, stack: Stack, provider: str) -> None:
    """
    `email` as a chord's body sends one mail that says how many parts could not be done.
    """
    assert 1 == canvas[provider]["chord ending in mail"]["value"]["schema"]
    mails = [path.read_text("utf-8") for path in stack.mails.glob("*.eml")]
    mine = [mail for mail in mails if f"To: {provider}@example.org" in mail]

    assert 1 == len(mine)
    assert "Subject: Ready, 1 of 2 could not be done" in mine[0]
