"""`python -m simulator` as a process: options, limits, its end."""

import json
import signal
import subprocess
import sys
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from tests.simulator.conftest import GPT, ROOT, Simulator, Start, line, say
from tests.support.waiting import wait_until

TEXT = "A queue decouples two parties. The queue keeps work. Lunch is at noon."


def test_sigterm_ends_it_and_leaves_nothing_behind(start: Start) -> None:
    """
    SIGTERM ends the process in order, and its directory of request bodies goes with it.
    """
    simulator = start("--speed", "60")
    simulator.messages_batch({f"r{n}": say(TEXT) for n in range(100)})
    kept = list(simulator.temporary.iterdir())
    simulator.close()
    simulator.process.send_signal(signal.SIGTERM)

    assert 0 == simulator.process.wait(5)
    assert 1 == len(kept)
    assert [] == list(simulator.temporary.iterdir())


def test_sigterm_does_not_wait_for_a_large_batch(start: Start) -> None:
    """
    A batch whose results are being written when the signal comes does not hold up the end.
    """
    simulator = start("--speed", "100000")
    text = " ".join(f"Sentence number {n} says something about queues." for n in range(60))
    simulator.messages_batch({f"r{n}": say(text) for n in range(40_000)})
    simulator.close()
    with subprocess.Popen(
        [sys.executable, "-c", f"import urllib.request as u; u.urlopen('{simulator.url}/_books')"],
        stderr=subprocess.DEVNULL,
    ) as asking:
        wait_until(
            lambda: list(simulator.temporary.rglob("*.results")),
            within_s=10,
            what="results being written",
        )
        simulator.process.send_signal(signal.SIGTERM)

        assert 0 == simulator.process.wait(5)
        asking.wait(5)


def test_it_says_where_it_is_as_json(start: Start) -> None:
    """
    With `--json` the announcement is one JSON line that agrees with the port file.
    """
    simulator = start("--json", "--speed", "90")
    assert simulator.process.stdout is not None
    said = json.loads(simulator.process.stdout.readline())

    assert simulator.url == said["url"]
    assert (int(simulator.url.rpartition(":")[2]), 90) == (said["port"], said["speed"])


def test_help_names_every_option() -> None:
    """
    `--help` lists the options that docs and tests rely on.
    """
    command = [sys.executable, "-m", "simulator", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    for option in "host port port-file speed seed seed-literals requests-per-minute json".split():
        assert f"--{option}" in shown


def test_it_imports_nothing_of_the_service() -> None:
    """
    A process that has imported the simulator holds no module of the service or its client.
    """
    program = "import simulator.__main__, sys; print('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    roots = {name.partition(".")[0] for name in shown.split()}

    assert not roots & {"app", "tasks", "unhurried", "dev", "anthropic", "openai", "genai_prices"}


def test_the_same_seed_gives_the_same_ids_and_order(start: Start) -> None:
    """
    Two runs with one seed agree on ids and on the order of results; a run without one is its own.
    """
    found = []
    for options in (["--seed", "5"], ["--seed", "5"], []):
        simulator = start("--speed", "600", *options)
        batch = simulator.ended(
            simulator.messages_batch({f"r{n}": say(TEXT) for n in range(20)}).id
        )
        lines = simulator.anthropic.messages.batches.results(batch.id)
        found.append((batch.id, [one.custom_id for one in lines]))

    assert found[0] == found[1] != found[2]
    assert found[0][0] != found[2][0]


def test_requests_over_the_rate_limit_are_told_when_to_come_back(start: Start) -> None:
    """
    Each provider has its own minute: beyond the limit, 429 in its own words with retry-after.
    """
    simulator = start("--requests-per-minute", "3")
    for _ in range(3):
        simulator.anthropic.messages.create(**say(TEXT))
    with pytest.raises(anthropic.RateLimitError) as claude:
        simulator.anthropic.messages.create(**say(TEXT))
    for _ in range(3):
        simulator.openai.models.list()
    with pytest.raises(openai.RateLimitError) as gpt:
        simulator.openai.models.list()
    body: Any = claude.value.body

    assert "rate_limit_error" == body["error"]["type"]
    assert "rate_limit_exceeded" == gpt.value.code
    for error in (claude.value, gpt.value):
        assert 1 <= int(error.response.headers["retry-after"]) <= 60
    assert 3 == simulator.books()["lines"]


def test_every_reply_carries_its_id(simulator: Simulator) -> None:
    """
    Anthropic's header is request-id and OpenAI's x-request-id, on answers and on errors.
    """
    message = simulator.anthropic.messages.with_raw_response.create(**say(TEXT))
    response = simulator.openai.responses.with_raw_response.create(model=GPT, input=TEXT)
    with pytest.raises(openai.NotFoundError) as raised:
        simulator.openai.batches.retrieve("batch_of_nobody")

    assert message.headers["request-id"].startswith("req_")
    assert response.headers["x-request-id"].startswith("req_")
    assert raised.value.request_id is not None


def test_a_key_is_demanded_in_either_header(simulator: Simulator) -> None:
    """
    A call without a key is a 401; the older header is as good as the newer.
    """
    address = f"{simulator.url}/v1/models"
    version = {"anthropic-version": "2026-10-21"}
    refused = httpx2.get(address)
    refused_too = httpx2.get(address, headers=version)

    assert (401, "invalid_api_key") == (refused.status_code, refused.json()["error"]["code"])
    assert (401, "error") == (refused_too.status_code, refused_too.json()["type"])
    assert 200 == httpx2.get(address, headers={"x-api-key": "key"}).status_code
    assert 200 == httpx2.get(address, headers={"Authorization": "Bearer key"}).status_code


def test_ids_of_the_sdk_suites_exist_when_asked_for(start: Start) -> None:
    """
    With `--seed-literals` the ids exist, survive their deletion, cost nothing, and any body is taken.
    """
    simulator = start("--seed-literals")
    claude, gpt = simulator.anthropic, simulator.openai
    for _ in range(2):
        assert "message_batch_deleted" == claude.messages.batches.delete("message_batch_id").type
        assert gpt.files.delete("file_id").deleted

    assert "ended" == claude.messages.batches.cancel("message_batch_id").processing_status
    assert ["succeeded"] == [one.type for one in simulator.results("message_batch_id").values()]
    assert "completed" == gpt.batches.retrieve("batch_id").status
    assert gpt.files.content("file_id").content
    assert gpt.responses.retrieve("response_id").output_text
    assert "model_id" == claude.models.retrieve("model_id").id
    assert 0 == simulator.books()["lines"]
    created = gpt.batches.create(
        completion_window="24h", endpoint="/v1/responses", input_file_id="input_file_id"
    )
    assert "validating" == created.status
    assert gpt.responses.create().id
    asked = say("Hello, world", model="claude-opus-5")
    odd = claude.messages.create(**asked, extra_body={"temperature": 1, "top_k": 5})
    assert "claude-opus-5" == odd.model


def test_two_thousand_lines_come_back_complete(simulator: Simulator) -> None:
    """
    2,000 requests at each provider come back once each, and are billed once each.
    """
    claude = simulator.messages_batch({f"r{n}": say(f"{TEXT} {n}.") for n in range(2000)})
    gpt = simulator.responses_batch([line(f"r{n}", f"{TEXT} {n}.") for n in range(2000)])
    ended = simulator.terminal(gpt.id)
    ids = {f"r{n}" for n in range(2000)}

    assert ids == set(simulator.results(simulator.ended(claude.id).id))
    assert ids == set(simulator.lines(ended.output_file_id))
    assert 4000 == simulator.books()["lines"]
    assert [] == simulator.books("/repeats")
