"""Child processes of the demo, of `make up` and of the tests: started, watched, killed, by pid."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import psutil

_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.02
_TAIL_LINES: Final = 20


class ProcessDiedError(RuntimeError):
    """A process ended that should run; the message quotes the end of its log."""


def _die_with_parent() -> None:
    """Let the kernel end this child when its parent dies, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class Process:
    """One child with a log of its own. It leads a process group, so that its children end with it."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    directory: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    _popen: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _file: IO[bytes] | None = field(default=None, init=False)

    def start(self) -> "Process":
        """Start it; its output is appended to the log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.log.open("ab")
        self._popen = subprocess.Popen(
            self.command,
            env=dict(self.environment),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - prctl alone, no lock can be held
        )
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._popen is not None, f"{self.name} was not started"
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._popen is not None and self._popen.poll() is None

    def kill(self) -> None:
        """SIGKILL it and its children, now."""
        self._signal(signal.SIGKILL)
        self._reap(10)

    def terminate(self, *, grace_s: float = 15) -> None:
        """Ask it to end; after `grace_s` it is killed."""
        if self.alive:
            os.kill(self.pid, self.stop_signal)
            if not self._reap(grace_s):
                self._signal(signal.SIGKILL)
                self._reap(10)
        # Whatever the leader left behind in its group ends as well.
        self._signal(signal.SIGKILL)
        if self._file is not None:
            self._file.close()
            self._file = None

    def wait(self, *, within_s: float) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        assert self._popen is not None
        return self._popen.wait(within_s)

    def pss_bytes(self) -> int:
        """Proportional memory of it and its children; 0 where it has ended."""
        return sum(_pss(process) for process in self._family())

    def tail(self) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def require_alive(self) -> None:
        """Raise ProcessDiedError where it has ended."""
        if not self.alive:
            code = self._popen.returncode if self._popen else None
            raise ProcessDiedError(f"{self.name} ended with {code}; its log ends:\n{self.tail()}")

    def _family(self) -> Iterator[psutil.Process]:
        try:
            leader = psutil.Process(self.pid)
            yield leader
            yield from leader.children(recursive=True)
        except psutil.NoSuchProcess:
            return

    def _signal(self, number: int) -> None:
        if self._popen is None:
            return
        try:
            os.killpg(self._popen.pid, number)
        except ProcessLookupError:
            return

    def _reap(self, within_s: float) -> bool:
        assert self._popen is not None
        try:
            self._popen.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True


def _pss(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return int(getattr(memory, "pss", memory.rss))


def poll_until(condition: Callable[[], object], *, within_s: float) -> bool:
    """Whether `condition()` became true in time."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(_POLL_S)
    return bool(condition())
