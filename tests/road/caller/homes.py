"""A caller's process that publishes every canvas at every tier, with a default queue of its own name.

Its tasks name no queue, but for those on `NAMED`. It prints how each canvas ended.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from celery import chain, chord, group
from celery.exceptions import ChordError
from celery.exceptions import TimeoutError as TooLate
from placed import NAMED, came, failed_with, routed

from app import app
from unhurried import JobFailed, messages

WITHIN_S = 90
TIERS = ("sync", "near-real-time", "batch")
#: What the service cannot know: it publishes what follows a call of ours.
app.conf.task_routes = {"placed.routed": {"queue": "placed-nowhere"}}


class Canvas:
    """One canvas at one tier: the parts that it is built from."""

    def __init__(self, shape: str, tier: str) -> None:
        self.tier = tier
        self.name = f"{shape} {tier}"

    def ours(self, *, tier: str | None = None) -> Any:
        """A call that is answered."""
        return self._ask(f"Tell me about {self.name}. It is there.", tier or self.tier)

    def bad(self) -> Any:
        """A call that fails."""
        return self._ask("[[sim:invalid]] Tell me nothing.", self.tier)

    def theirs(self, part: str) -> Any:
        """A task of the caller's that names no queue."""
        return came.s(name=f"{self.name}: {part}")

    def other(self, task: Any, part: str) -> Any:
        """Another task of the caller's, likewise."""
        return task.s(name=f"{self.name}: {part}")

    def _ask(self, prompt: str, tier: str) -> Any:
        turns = [{"role": "user", "content": prompt}]
        return messages.si(model="claude-haiku-4-5", max_tokens=100, messages=turns, tier=tier)


def _mixed(c: Canvas) -> Any:
    return chord([c.ours(), *(c.ours(tier=tier) for tier in TIERS)], c.theirs("body"))


def _nested(c: Canvas) -> Any:
    inner = chord([c.ours(), c.ours()], c.theirs("inner"))
    return chord([inner, c.ours()], c.theirs("outer"))


def _failing_chord(c: Canvas) -> Any:
    body = c.theirs("never").on_error(c.other(failed_with, "new")).on_error(c.theirs("old"))
    return chord([c.ours(), c.bad()], body)


SHAPES: dict[str, Callable[[Canvas], Any]] = {
    "link": lambda c: c.ours().set(link=[c.theirs("link").set(link=[c.theirs("its link")])]),
    "links": lambda c: c.ours().set(link=[c.theirs("1"), c.theirs("2")]),
    "link to a group": lambda c: c.ours().set(link=[group(c.theirs("1"), c.theirs("2"))]),
    "link with a queue": lambda c: c.ours().set(link=[c.theirs("link").set(queue=NAMED)]),
    "link with a route": lambda c: c.ours().set(link=[c.other(routed, "link")]),
    "errback": lambda c: c.bad().set(link_error=[c.theirs("old")]),
    "errback, new": lambda c: c.bad().set(link_error=[c.other(failed_with, "new")]),
    "chain": lambda c: chain(c.ours(), c.theirs("1"), c.ours(), c.theirs("2")),
    "chain with a queue": lambda c: chain(c.ours(), c.theirs("1").set(queue=NAMED), c.theirs("2")),
    "group in a chain": lambda c: chain(
        c.ours(), group(c.theirs("1"), c.ours(), c.theirs("2")), c.theirs("3")
    ),
    "chord": lambda c: chord([c.ours(), c.ours()], c.theirs("body")),
    "chord of chains": lambda c: chord(
        [chain(c.ours(), c.theirs("1")), chain(c.theirs("2"), c.ours())], c.theirs("body")
    ),
    "chord with a queue": lambda c: chord([c.ours()] * 2, c.theirs("body").set(queue=NAMED)),
    "chord that fails": _failing_chord,
    "chord of three tiers": _mixed,
    "body of ours": lambda c: chord(
        [c.theirs("1"), c.ours()], c.ours().set(link=[c.theirs("link")])
    ),
    "chord in a chain": lambda c: chain(
        c.ours(), chord([c.theirs("1"), c.ours()], c.theirs("body")), c.theirs("last")
    ),
    "nested chords": _nested,
}


def _end(result: Any, until: float) -> str:
    try:
        result.get(timeout=max(until - time.monotonic(), 0.1))
    except (JobFailed, ChordError, TooLate) as error:
        return type(error).__name__
    return "ended"


def main() -> None:
    """Publish all, then wait for all."""
    canvases = [(shape, Canvas(shape, tier)) for shape in SHAPES for tier in TIERS]
    waiting = {c.name: SHAPES[shape](c).apply_async() for shape, c in canvases}
    until = time.monotonic() + WITHIN_S
    print(json.dumps({name: _end(result, until) for name, result in waiting.items()}))


if __name__ == "__main__":
    main()
