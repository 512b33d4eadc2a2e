"""A caller's CI asks which tasks its next release must still know by name."""

import json
from typing import Any

from tests.road.callers import Caller
from tests.support.waiting import wait_until

_ASK = (
    "from unhurried._cli import main; "
    "raise SystemExit(main(['callbacks', '--in-flight', '-A', 'app', '--json']))"
)


def _told(caller: Caller) -> tuple[int, dict[str, Any]]:
    process = caller.start("callbacks", "-c", _ASK)
    code = process.wait(within_s=60)
    said = process.log.read_text("utf-8")
    return code, json.loads(said[said.index("{") :])


def test_a_task_that_the_code_does_not_register_any_more_fails_the_build(caller: Caller) -> None:
    """
    A call is under way whose link is no task of this code: named, and exit code 1.
    """
    process = caller.start("awaited", "awaited.py")
    assert 0 == process.wait(within_s=60), process.tail()

    def named() -> tuple[int, dict[str, Any]] | None:
        code, told = _told(caller)
        return (code, told) if "shop.gone" in told["callbacks"] else None

    code, told = wait_until(named, within_s=20, what="the call to be admitted")

    assert 1 == code
    assert ["shop.gone"] == told["missing"]
