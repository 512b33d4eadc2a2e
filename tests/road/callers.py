"""Another code base's processes, beside a stack: a caller as the tests of the road start it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.processes import Process
from dev.stack import Stack
from tests.support.waiting import wait_until

HERE = Path(__file__).parent
CALLER = HERE / "caller"
#: What a caller shares with the service.
_CALLERS_OWN = {"UNHURRIED_REDIS_URL", "UNHURRIED_STORAGE"}

#: The matrix's own tasks, which run in every caller's worker.
STEPS = "matrix.steps"


@dataclass(frozen=True)
class Caller:
    """Another code base's processes, beside a stack."""

    stack: Stack
    log: Path
    #: Another environment's Python; None for the one the tests run in.
    python: Path | None = None
    #: The caller's own default queue.
    queue: str = "celery"
    directory: Path = CALLER
    #: The module that makes the caller's Celery app.
    app: str = "app"
    #: Settings of the caller's own.
    settings: Mapping[str, str] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> Process:
        """Run one of the caller's programs, its own `app.py` and `tasks.py` first on its path."""
        environment = {
            key: value
            for key, value in self.stack.variables.items()
            if not key.startswith("UNHURRIED_") or key in _CALLERS_OWN
        }
        environment |= {"CALLER_LOG": str(self.log), "CALLER_QUEUE": self.queue}
        environment |= {"MATRIX_LOG": str(self.matrix_log)}
        environment |= {"CALLER_APP": self.app, **self.settings}
        program = "python"
        if self.python is None:
            # The shapes of the matrix are in a package of this directory.
            environment["PYTHONPATH"] = f"{self.stack.client_path()}{os.pathsep}{HERE}"
        else:
            environment.pop("PYTHONPATH", None)
            program = str(self.python)
        return self.stack.launch(
            name, [program, *arguments], directory=self.directory, environment=environment
        )

    def worker(self, *, include: str = "", also: str = "") -> Process:
        """The caller's own worker, on the caller's default queue and `also` on another; `include` adds
        modules of tasks.

        It sends task events from its start on. Without `-E` it does so once a Flower has asked, five seconds
        after that was started, and what it ran before no Flower ever hears of.
        """
        queues = f"{self.queue},{also}" if also else self.queue
        arguments = f"-m celery -A {self.app} worker -E -P solo -l INFO -Q {queues}"
        arguments += f" -n {self.queue}@%h" + (f" -I {include}" if include else "")
        process = self.start(f"{self.queue}_worker", *arguments.split())
        wait_until(lambda: " ready." in process.tail(), within_s=30, what="the caller's worker")
        return process

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the caller's tasks wrote down."""
        return [line for line in _lines(self.log) if line["event"] == name]

    @property
    def matrix_log(self) -> Path:
        """Where the matrix's own tasks write."""
        return self.log.with_suffix(".matrix.jsonl")

    def cells(self) -> list[dict[str, str]]:
        """What the matrix's own tasks wrote down, whatever the cell."""
        return _lines(self.matrix_log)


def _lines(log: Path) -> list[dict[str, Any]]:
    if not log.exists():
        return []
    # Somebody may be in the middle of writing the last one.
    whole, _, _ = log.read_text("utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]
