"""Child processes of the demo, of `make up` and of the tests: started, watched, killed, by pid."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.02
_KILL_S: Final = 10.0
#: Loaded here, because between fork and exec nothing may take a lock.
_LIBC: Final = ctypes.CDLL(None)
_TAIL_LINES: Final = 20


class ProcessDiedError(RuntimeError):
    """A process ended that should run; the message quotes the end of its log."""


def _die_with_parent() -> None:
    """Let the kernel end this child when the thread that starts it ends, however (Linux)."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class Process:
    """One child with a log of its own. It leads a process group, so that its children end with it.

    As a context manager it is started and terminated; an `ExitStack` of them stops in reverse order.
    It does not outlive the thread that started it (Linux), not even where that was killed.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    directory: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    _popen: subprocess.Popen[bytes] | None = field(default=None, init=False)
    #: Whether its group may still hold a process; once it was swept, its number may be another's.
    _group: bool = field(default=False, init=False)
    #: Celery takes a second signal for impatience.
    _asked: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Terminate it."""
        self.terminate()

    def start(self) -> Self:
        """Start it; its output is appended to the log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - prctl alone, no lock can be held
            )
        self._group, self._asked = True, False
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
        """SIGKILL it and its children, now. May be repeated."""
        if self._group:
            self._sweep()
            self._reap(_KILL_S)

    def terminate(self, *, grace_s: float = 15) -> None:
        """Ask it to end; after `grace_s` it is killed, and at once what it leaves behind. May be repeated."""
        self.ask_to_end()
        self._reap(grace_s)
        self.kill()

    def ask_to_end(self) -> None:
        """Send its stop signal, once, and do not wait."""
        if self.alive and not self._asked:
            self._asked = True
            os.kill(self.pid, self.stop_signal)

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

    def _sweep(self) -> None:
        """SIGKILL whatever is left of its group; the leader's number is free once it is reaped."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._group = False

    def _reap(self, within_s: float) -> None:
        if self._popen is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(within_s)


def _pss(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return int(getattr(memory, "pss", memory.rss))


def poll_until(
    condition: Callable[[], object], *, within_s: float, every_s: float = _POLL_S
) -> bool:
    """Whether `condition()`, looked at every so often, became true in time."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(every_s)
    return bool(condition())
