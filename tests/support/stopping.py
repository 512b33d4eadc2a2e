"""Processes that stand still."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from dev.processes import Process


@contextmanager
def stopped(process: Process) -> Iterator[None]:
    """Alive, and doing nothing: as a process that hangs."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)
