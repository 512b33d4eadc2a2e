"""Child processes: started, watched and ended with everything that they started."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from dev.processes import Process, ProcessDiedError
from tests.support.waiting import wait_until

_CHILD = (
    "import subprocess, sys; subprocess.Popen(['sleep', '300']); print('started', flush=True); "
)
_STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
_STAY = "sys.stdin.close(); import threading; threading.Event().wait()"


def _process(directory: Path, code: str) -> Process:
    return Process(
        name="subject",
        command=[sys.executable, "-c", code],
        log=directory / "logs" / "subject.log",
        environment={**os.environ, "GREETING": "hello"},
    )


def _family(process: Process) -> list[psutil.Process]:
    leader = psutil.Process(process.pid)
    child = wait_until(leader.children, within_s=10, what="the child of the process")
    return [leader, *child]


def _gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def _await_started(process: Process) -> None:
    wait_until(lambda: "started" in process.tail(), within_s=10, what="the process to say started")


def test_a_killed_process_takes_its_children_with_it(tmp_path: Path) -> None:
    """SIGKILL reaches the whole process group."""
    process = _process(tmp_path, _CHILD + _STAY).start()
    family = _family(process)

    process.kill()

    assert not process.alive
    wait_until(lambda: all(map(_gone, family)), within_s=5, what="the end of the group")


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    """`terminate` always ends: what does not heed SIGTERM gets SIGKILL, and its children too."""
    process = _process(tmp_path, _STUBBORN + _CHILD + _STAY).start()
    _await_started(process)
    family = _family(process)

    process.terminate(grace_s=0.1)

    assert not process.alive
    wait_until(lambda: all(map(_gone, family)), within_s=5, what="the end of the group")


def test_a_process_that_heeds_sigterm_is_not_killed(tmp_path: Path) -> None:
    """A process that ends by itself on SIGTERM keeps its own exit code."""
    code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('started', flush=True); signal.pause()"
    process = _process(tmp_path, code).start()
    _await_started(process)

    process.terminate()

    assert process.wait(within_s=0) == 7


def test_a_dead_process_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    """Whoever waits for a process that died learns which, how, and what it said last."""
    process = _process(
        tmp_path, "import os, sys; print(os.environ['GREETING']); sys.exit(3)"
    ).start()
    process.wait(within_s=10)

    with pytest.raises(ProcessDiedError, match=r"subject ended with 3; its log ends:\nhello"):
        process.require_alive()


def test_memory_counts_the_children_and_is_nothing_after_the_end(tmp_path: Path) -> None:
    """PSS is the sum over the process and its children; an ended process has none."""
    process = _process(tmp_path, _CHILD + _STAY).start()
    leader, child = _family(process)
    own = leader.memory_full_info().pss

    assert process.pss_bytes() > 1_000_000
    assert process.pss_bytes() > 0.5 * (own + child.memory_full_info().pss)
    process.kill()
    assert process.pss_bytes() == 0


def test_a_context_manager_ends_its_process(tmp_path: Path) -> None:
    """Leaving the block terminates, whatever happened in it."""
    with _process(tmp_path, _STAY.replace("sys.stdin.close(); ", "")) as process:
        pid = process.pid
        assert process.alive

    assert not psutil.pid_exists(pid)
