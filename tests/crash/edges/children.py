"""Real processes of the service, forked from one that has imported it: started, killed and awaited by pid."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

ROOT: Final = Path(__file__).parents[3]
WITHIN_S: Final = 60.0
_TAIL_CHARACTERS: Final = 3000


@dataclass
class Child:
    """One process. It ends with its steps, unless it is killed."""

    pid: int
    log: Path
    _codes: "queue.Queue[int]"
    _code: int | None = field(default=None, init=False)

    @property
    def ended(self) -> bool:
        """Whether it has ended, however."""
        if self._code is None and not self._codes.empty():
            self._code = self._codes.get()
        return self._code is not None

    def kill(self) -> None:
        """SIGKILL it, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL, self.tail()

    def wait(self) -> int:
        """Its end: a signal's number below 0, an exit code otherwise."""
        if self._code is None:
            self._code = self._codes.get(timeout=WITHIN_S)
        return self._code

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-_TAIL_CHARACTERS:]

    def events(self) -> list[dict[str, str]]:
        """What it told, each event with its fields."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return [_fields(line) for line in lines if " event=" in line]


class Nursery:
    """Bears one child at a time."""

    def __init__(self, directory: Path) -> None:
        """Children log to files of `directory`."""
        self._directory = directory
        self._born: queue.Queue[int] = queue.Queue()
        self._codes: queue.Queue[int] = queue.Queue()
        self._count = 0

    def __enter__(self) -> Self:
        """Start the process that they are forked from."""
        self._directory.mkdir(parents=True)
        with (self._directory / "nursery.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.edges.nursery"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it end; a child that still runs is killed."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(WITHIN_S)
        self._listener.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def bear(
        self, steps: Sequence[str], environment: Mapping[str, str], *, until: Path | None
    ) -> Child:
        """A child that takes these steps once, or until a file is there."""
        self._count += 1
        log = self._directory / f"{self._count}.log"
        log.touch()
        order = {
            "steps": list(steps),
            "environment": dict(environment),
            "log": str(log),
            "until": str(until) if until is not None else None,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Child(self._born.get(timeout=WITHIN_S), log, self._codes)

    def forget(self) -> None:
        """Remove the logs of all children; none may run."""
        for log in self._directory.glob("[0-9]*.log"):
            log.unlink()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, _, number = line.partition(" ")
            {"pid": self._born, "ended": self._codes}[word].put(int(number))


def _fields(line: str) -> dict[str, str]:
    """A line of the log, taken apart. Of a quoted value the first word does; a word alone is a flag."""
    pairs = (word.partition("=") for word in line.split())
    return {name: value.strip('"') for name, _, value in pairs}
