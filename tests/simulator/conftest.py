"""The simulator as a process of its own, and the official SDKs as its callers."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic
from anthropic.types.messages import MessageBatch
from openai import OpenAI
from openai.types import Batch

from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
START_S = 20.0
STOP_S = 10.0
BATCH_S = 30.0
ENDED = {"completed", "failed", "expired", "cancelled"}
CLAUDE = "claude-haiku-4-5"
GPT = "gpt-5-mini"


@dataclass
class Simulator:
    """A running simulator and a client of each provider."""

    url: str
    process: subprocess.Popen[str]
    #: Where it keeps its own temporary directory.
    temporary: Path
    anthropic: Anthropic = field(init=False)
    openai: OpenAI = field(init=False)

    def __post_init__(self) -> None:
        self.anthropic = Anthropic(api_key="key", base_url=self.url, max_retries=0)
        self.openai = OpenAI(api_key="key", base_url=f"{self.url}/v1", max_retries=0)

    def close(self) -> None:
        """Let go of the clients' connections."""
        self.anthropic.close()
        self.openai.close()

    def ask(self, path: str, *, method: str = "GET") -> Any:
        """One of the simulator's own addresses."""
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read())

    def books(self, path: str = "") -> Any:
        """What was billed."""
        return self.ask(f"/_books{path}")

    def now(self) -> datetime:
        """What its clock shows."""
        return datetime.fromisoformat(self.ask("/_health")["now"])

    def messages_batch(self, requests: dict[str, dict[str, Any]]) -> MessageBatch:
        """Create an Anthropic batch of `custom_id: params`."""
        entries: Any = [{"custom_id": key, "params": value} for key, value in requests.items()]
        return self.anthropic.messages.batches.create(requests=entries)

    def ended(self, batch_id: str) -> MessageBatch:
        """An Anthropic batch once it has ended."""

        def look() -> MessageBatch | None:
            batch = self.anthropic.messages.batches.retrieve(batch_id)
            return batch if batch.processing_status == "ended" else None

        return wait_until(look, within_s=BATCH_S, what=f"the end of {batch_id}")

    def results(self, batch_id: str) -> dict[str, Any]:
        """Every result of an Anthropic batch, by custom_id."""
        lines = self.anthropic.messages.batches.results(batch_id)
        return {line.custom_id: line.result for line in lines}

    def upload(self, lines: list[Any], *, name: str = "in.jsonl") -> str:
        """Upload an input file; a line that is a text is written as it is."""
        text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
        file = (name, f"{text}\n".encode(), "application/jsonl")
        return self.openai.files.create(file=file, purpose="batch").id

    def responses_batch(self, lines: list[Any], **options: Any) -> Batch:
        """Upload lines and create an OpenAI batch of them."""
        asked: dict[str, Any] = {"endpoint": "/v1/responses", "completion_window": "24h"}
        asked |= {"input_file_id": self.upload(lines)}
        return self.openai.batches.create(**{**asked, **options})

    def terminal(self, batch_id: str) -> Batch:
        """An OpenAI batch once it is completed, failed, expired or cancelled."""

        def look() -> Batch | None:
            batch = self.openai.batches.retrieve(batch_id)
            return batch if batch.status in ENDED else None

        return wait_until(look, within_s=BATCH_S, what=f"the end of {batch_id}")

    def lines(self, file_id: str | None) -> dict[str, Any]:
        """The lines of a result file, by custom_id; none where there is no file."""
        if file_id is None:
            return {}
        raw = self.openai.files.content(file_id).content
        return {line["custom_id"]: line for line in map(json.loads, raw.splitlines())}


Start = Callable[..., Simulator]


@contextmanager
def running(directory: Path, *options: str) -> Iterator[Simulator]:
    """A simulator of the test's own."""
    port_file, temporary = directory / "port", directory / "tmp"
    port_file.unlink(missing_ok=True)
    temporary.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "simulator", "--port-file", str(port_file), *options]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until(
                lambda: port_file.exists() or process.poll() is not None,
                within_s=START_S,
                what="the simulator",
            )
            assert process.poll() is None
            url = f"http://127.0.0.1:{port_file.read_text('utf-8')}"
            found = Simulator(url, process, temporary)
            yield found
            found.close()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(STOP_S)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One for all tests that need no options; a batch takes a fraction of a second."""
    with running(tmp_path_factory.mktemp("simulator"), "--speed", "600", "--seed", "7") as found:
        yield found


@pytest.fixture
def simulator(shared: Simulator) -> Simulator:
    """The shared one, with nothing in it."""
    shared.ask("/_reset", method="POST")
    return shared


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts simulators with options of their own; ends them with the test."""
    with ExitStack() as stack:
        count = 0

        def begin(*options: str) -> Simulator:
            nonlocal count
            count += 1
            directory = tmp_path / str(count)
            directory.mkdir()
            return stack.enter_context(running(directory, *options))

        yield begin


def say(text: str, **params: Any) -> dict[str, Any]:
    """Parameters of a Messages request."""
    turns = [{"role": "user", "content": text}]
    return {"model": CLAUDE, "max_tokens": 200, "messages": turns, **params}


def line(custom_id: str, text: str, **body: Any) -> dict[str, Any]:
    """A line of an OpenAI batch's input file."""
    outer = {"custom_id": custom_id, "method": "POST", "url": "/v1/responses"}
    return {**outer, "body": {"model": GPT, "input": text, **body}}
