"""Faults on demand: whatever goes wrong with a reply, the provider's own books stay true."""

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
import pytest

from tests.simulator.conftest import GPT, Simulator, line, say
from tests.support.waiting import wait_until

TEXT = "A queue decouples two parties. The queue keeps work. Lunch is at noon."
MESSAGES_BATCHES, RESPONSES_BATCHES = "/v1/messages/batches", "/v1/batches"


@pytest.fixture(autouse=True)
def disarmed(simulator: Simulator) -> Any:
    """Nothing is armed for the next test."""
    yield
    simulator.ask("/_faults", method="DELETE")


def arm(simulator: Simulator, fault: str, **fields: Any) -> None:
    """Arm one."""
    body = json.dumps({"fault": fault, **fields}).encode()
    request = urllib.request.Request(f"{simulator.url}/_faults", body, method="POST")
    with urllib.request.urlopen(request, timeout=10):
        pass


def fired(simulator: Simulator) -> list[int]:
    """How often each has befallen somebody."""
    return [one["fired"] for one in simulator.ask("/_faults")]


def test_a_lost_reply_leaves_the_batch_behind(simulator: Simulator) -> None:
    """The caller sees a closed connection; the batch is there, and only once."""
    arm(simulator, "reply_lost", method="POST", path=MESSAGES_BATCHES)
    client = simulator.anthropic.with_options(max_retries=0)

    with pytest.raises(anthropic.APIConnectionError):
        client.messages.batches.create(requests=[{"custom_id": "a", "params": say(TEXT)}])  # type: ignore[typeddict-item]

    (batch,) = client.messages.batches.list().data
    simulator.ended(batch.id)
    assert [1] == fired(simulator)
    assert 1 == simulator.books()["lines"]


@pytest.mark.parametrize(("fault", "batches_count"), [("error_after", 1), ("error_instead", 0)])
def test_an_error_may_come_after_the_work_or_instead_of_it(
    simulator: Simulator, fault: str, batches_count: int
) -> None:
    """The caller cannot tell the one from the other."""
    file_id = simulator.upload([line("a", TEXT)])
    arm(simulator, fault, method="POST", path=RESPONSES_BATCHES, status=503)
    client = simulator.openai.with_options(max_retries=0)

    with pytest.raises(openai.InternalServerError):
        client.batches.create(
            input_file_id=file_id, endpoint="/v1/responses", completion_window="24h"
        )

    assert batches_count == len(client.batches.list().data)


def test_a_held_reply_leaves_when_the_faults_are_cleared(simulator: Simulator) -> None:
    """The work is done while the caller waits."""
    arm(simulator, "hold", method="POST", path="/v1/responses")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(simulator.openai.responses.create, model=GPT, input=TEXT)
        wait_until(lambda: simulator.books()["lines"] == 1, within_s=10, what="the work")
        assert not call.done()
        simulator.ask("/_faults", method="DELETE")
        assert "queue" in call.result(timeout=10).output_text


def test_a_cut_reply_is_shorter_than_it_says(simulator: Simulator) -> None:
    """The connection closes in the middle of the body."""
    batch = simulator.messages_batch({f"r{n}": say(f"{TEXT} {n}") for n in range(20)})
    simulator.ended(batch.id)
    arm(simulator, "cut", path="*/results", share=0.5)

    with pytest.raises(Exception, match="complete message body"):
        simulator.results(batch.id)
    assert 20 == len(simulator.results(batch.id))


@pytest.mark.parametrize(("fault", "compare"), [("drop_lines", -1), ("repeat_lines", 1)])
def test_lines_may_be_dropped_or_repeated(simulator: Simulator, fault: str, compare: int) -> None:
    """They are billed once all the same."""
    batch = simulator.responses_batch([line(f"r{n}", f"{TEXT} {n}") for n in range(60)])
    ended = simulator.terminal(batch.id)
    arm(simulator, fault, path="*/content", share=0.2)

    assert ended.output_file_id is not None
    raw = simulator.openai.files.content(ended.output_file_id).content
    assert (len(raw.splitlines()) - 60) * compare > 0
    assert 60 == simulator.books()["lines"]


def test_a_batch_may_expire_in_the_middle(simulator: Simulator) -> None:
    """What has run is answered and billed, the rest is neither."""
    arm(simulator, "expire", method="POST", path=MESSAGES_BATCHES, share=0.6)
    batch = simulator.messages_batch({f"r{n}": say(f"{TEXT} {n}") for n in range(50)})

    counts = simulator.ended(batch.id).request_counts
    assert (50, True) == (counts.succeeded + counts.expired, 25 <= counts.succeeded <= 31)
    assert counts.succeeded == simulator.books()["lines"]


def test_lines_may_fail_without_a_reason(simulator: Simulator) -> None:
    """Their error is null, and nothing is billed for them."""
    arm(simulator, "null_errors", method="POST", share=0.3)
    batch = simulator.messages_batch({f"r{n}": say(f"{TEXT} {n}") for n in range(40)})
    simulator.ended(batch.id)
    errored = [one for one in simulator.results(batch.id).values() if one.type == "errored"]

    assert 0 < len(errored) < 40
    assert [None] == list({one.error for one in errored})
    assert 40 - len(errored) == simulator.books()["lines"]


def test_an_account_may_be_closed_while_its_batch_runs(simulator: Simulator) -> None:
    """Some lines are refused in the provider's words for an account without money, and not billed."""
    for path in (MESSAGES_BATCHES, RESPONSES_BATCHES):
        arm(simulator, "closed_account", method="POST", path=path, share=0.3)
    batch = simulator.messages_batch({f"r{n}": say(f"{TEXT} {n}") for n in range(40)})
    simulator.ended(batch.id)
    errored = [one for one in simulator.results(batch.id).values() if one.type == "errored"]
    ended = simulator.terminal(
        simulator.responses_batch([line(f"r{n}", f"{TEXT} {n}") for n in range(40)]).id
    )
    refused = simulator.lines(ended.error_file_id).values()
    codes = {one["response"]["body"]["error"]["code"] for one in refused}

    assert 0 < len(errored) < 40
    assert all("credit balance" in one.error.error.message for one in errored)
    assert {"insufficient_quota"} == codes
    assert 80 - len(errored) - len(refused) == simulator.books()["lines"]


@pytest.mark.parametrize(
    "body", [{"fault": "flood"}, {"fault": "cut", "share": 2}, {"fault": "cut", "speed": 1}]
)
def test_a_fault_that_cannot_be_armed_is_refused(
    simulator: Simulator, body: dict[str, Any]
) -> None:
    """A test that arms nothing must not look like one that survived."""
    with pytest.raises(urllib.error.HTTPError, match="400"):
        arm(simulator, **body)
