"""A canvas that is followed: its steps have one id, and the canvas that was given is as it was."""

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import redis
from celery import chain, chord, group

from tests.client.apps import calling
from unhurried import follow, messages
from unhurried.contract import QUEUES, STEP_HEADER, Tier

TURNS = [{"role": "user", "content": "Hello"}]


def ask() -> Any:
    """One call at the batch tier."""
    return messages.s(model="claude-haiku-4-5", max_tokens=9, messages=TURNS, tier="batch")


#: Four steps each.
CANVASES: dict[str, Callable[[], Any]] = {
    "a group": lambda: group(ask() for _ in range(4)),
    "a chord of a group": lambda: chord(group(ask(), ask(), ask()), ask()),
    "a group in a chord": lambda: chord([group(ask(), ask()), ask()], ask()),
    "a group in a chain": lambda: chain(ask(), group(ask(), ask()), ask()),
    "a group of groups": lambda: group(group(ask(), ask()), group(ask(), ask())),
}


@pytest.mark.parametrize("name", CANVASES)
def test_a_canvas_that_is_followed_twice_counts_its_steps_twice(
    redis_url: str, redis_client: redis.Redis, name: str
) -> None:
    """
    Whatever is published first says which of the two it belongs to, and the canvas that was given says neither.
    """
    with calling(redis_url):
        canvas = CANVASES[name]()
        before = json.dumps(canvas)
        followed = [follow(canvas), follow(canvas)]
        assert before == json.dumps(canvas)
        for one in followed:
            one.delay()

    steps: dict[str, list[int]] = defaultdict(list)
    raw: Any = redis_client.lrange(QUEUES[Tier.BATCH], 0, -1)
    for message in raw:
        told = json.loads(message)["headers"][STEP_HEADER]
        assert 4 == told["of"]
        steps[told["run"]].append(told["step"])
    first, second = (sorted(steps[one.id]) for one in followed)
    assert first == second != []
