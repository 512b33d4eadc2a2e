"""A caller who has installed the wheel and nothing else of ours."""

import json
from pathlib import Path

from dev.stack import Stack
from tests.road.callers import Caller
from tests.support import wheel


def test_a_caller_with_only_the_wheel_completes_a_chord_with_its_own_body(
    stack: Stack, tmp_path: Path
) -> None:
    """
    The caller's own `app.py` and `tasks.py` come first on its path, its default queue has a name of
    its own, and the chord's body runs there once.
    """
    python = wheel.environment(tmp_path / "environment", wheel.build(tmp_path / "dist"))
    caller = Caller(stack, tmp_path / "caller.jsonl", python=python, queue="reports")
    worker = caller.worker()

    process = caller.start("wheel_caller", "once.py")

    assert 0 == process.wait(within_s=90), process.tail()
    printed = json.loads(process.tail().splitlines()[-1])
    assert "body of wheel" == printed["value"]
    assert str(tmp_path / "environment") in printed["from"]
    assert [3] == [len(run["parts"]) for run in caller.events("body")]
    worker.terminate()
