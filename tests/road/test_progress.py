"""How far something is, as a caller of its own sees it: one answer's text, and a canvas's steps."""

import json
import re
from typing import Any

import pytest

from tests.road.callers import Caller


@pytest.fixture(scope="module")
def seen(caller: Caller) -> dict[str, Any]:
    """What the caller saw, in order."""
    process = caller.start("steps", "steps.py")
    assert 0 == process.wait(within_s=150), process.tail()
    lines = process.log.read_text("utf-8").splitlines()
    found: dict[str, Any] = json.loads(next(line for line in lines if line.startswith("{")))
    return found


def test_canvas_step_progress(seen: dict[str, Any]) -> None:
    """
    Seven steps of ours and the caller's count up on one id, from 0 to 7, and never back.
    """
    steps = [re.match(r"step (\d) of 7", text) for text in seen["seven"]]
    counted = [int(found[1]) for found in steps if found]

    assert len(counted) == len(seen["seven"])
    assert counted == sorted(counted)
    assert (0, 7) == (counted[0], counted[-1])
    assert len(counted) >= 4


def test_a_failing_step_is_named(seen: dict[str, Any]) -> None:
    """
    The id says which step failed, and the canvas has ended.
    """
    assert "failed at step 2 of 3: unhurried.messages.v1" == seen["failing"][-1]


def test_partial_text_is_visible_while_it_streams(seen: dict[str, Any]) -> None:
    """
    The text grows towards the answer while the job is running.
    """
    *texts, answer, state = seen["partial"]

    assert "running" == state
    assert texts
    assert texts[0] != answer
    assert all(answer.startswith(text) for text in texts)
