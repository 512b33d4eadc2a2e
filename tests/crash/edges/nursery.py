"""A process that has imported the service once and forks a child for each line that it reads: `python -m`.

A line is JSON: the child's whole `environment`, its `steps`, the `log` that it writes to, and where it is to go
on with them until a file is there, that file as `until`. The answers are `pid N`, and `ended N` with what the
child's end was: a signal's number below 0, an exit code otherwise.
"""

import gc
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Final

#: The heavy part of every process, none of which reads a setting.
_HEAVY: Final = (
    "app.wiring",
    "app.completion.backend",
    "app.providers.anthropic",
    "app.providers.openai",
    "celery.app.amqp",
    "celery.fixups.django",
    "celery.loaders.app",
    "celery.worker.worker",
    "encodings.idna",
    "genai_prices.data",
    "sqlalchemy.dialects.postgresql.psycopg",
    "psycopg",
)


def _live(order: dict[str, Any]) -> None:
    """Be one process of the service, with settings of its own."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(log, number)
    os.environ.clear()
    os.environ.update(order["environment"])
    from tests.crash.edges import steps  # noqa: PLC0415 - reads the settings

    steps.run(order["steps"], Path(order["until"]) if order["until"] else None)


def _bear(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _live(order)
        code = 0
    except BaseException:  # noqa: BLE001 - told in its log, and by its exit code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        # As abrupt as a kill: what is to last is in the servers.
        os._exit(code)


def main() -> None:
    """One child at a time, until nobody writes any more."""
    for name in _HEAVY:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        pid = _bear(json.loads(line))
        print(f"pid {pid}", flush=True)
        _, status = os.waitpid(pid, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main()
