"""A caller's process that follows two canvases and prints how far they were each time it looked."""

import json
import time
from typing import Any

from celery import chain, chord

from tasks import body, plain, question
from unhurried import Steps, follow, messages

WITHIN_S = 60
SLOW = "[[sim:slow]] Tell me about steps. A step follows a step. Stairs have many of them."


def ask(prompt: str | None = None) -> Any:
    """One near-real-time signature; without a prompt the step before gives it."""
    request: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 200}
    if prompt is None:
        return messages.s(**request, tier="near-real-time")
    turns = [{"role": "user", "content": prompt}]
    return messages.si(**request, messages=turns, tier="near-real-time")


def watch(canvas: Any) -> list[str]:
    """Every text that one id showed, in order."""
    followed = follow(canvas)
    followed.delay()
    texts: list[str] = []
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        found: Steps = followed.steps
        if found.text not in texts:
            texts.append(found.text)
        if found.ended:
            return texts
        time.sleep(0.02)
    return texts


def partial() -> list[str]:
    """The texts of one slow answer on its way."""
    job = messages.delay(
        model="claude-haiku-4-5",
        max_tokens=200,
        messages=[{"role": "user", "content": SLOW}],
        tier="near-real-time",
    )
    texts: list[str] = []
    states = set()
    until = time.monotonic() + WITHIN_S
    while not job.ready() and time.monotonic() < until:
        states.add(job.state)
        now = job.progress
        if now is not None and now.text and now.text not in texts:
            texts.append(now.text)
        time.sleep(0.02)
    return [*texts, job.get(timeout=WITHIN_S).output, *sorted(states & {"running"})]


def main() -> None:
    """Seven steps, the same with a failing one, and one answer's text."""
    seven = chain(
        question.s("seas"),
        ask(),
        chord([ask(SLOW), plain.si(7), ask(SLOW + " Again.")], body.s("steps")),
        plain.si(1),
    )
    failing = chain(question.s("lakes"), ask("[[sim:invalid]]"), plain.si(1))
    print(json.dumps({"seven": watch(seven), "failing": watch(failing), "partial": partial()}))


if __name__ == "__main__":
    main()
