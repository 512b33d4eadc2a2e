"""A caller's process that publishes and changes its mind: prints what each job was, and is."""

import json
import sys
import time
from typing import Any

import app
from unhurried import Job, JobFailed, messages, responses

assert app


def publish(provider: str, count: int) -> list[str]:
    """Some jobs of a batch; the ids, once the service has them."""
    jobs = [
        _publish(provider, f"Tell me about {number} minds of {provider}.")
        for number in range(count)
    ]
    until = time.monotonic() + 60
    while any(job.state == "published" for job in jobs) and time.monotonic() < until:
        time.sleep(0.1)
    return [job.id for job in jobs]


def _publish(provider: str, prompt: str) -> Job:
    if provider == "openai":
        return responses.delay(model="gpt-5-mini", input=prompt, tier="batch")
    turns = [{"role": "user", "content": prompt}]
    return messages.delay(model="claude-haiku-4-5", max_tokens=60, messages=turns, tier="batch")


def ends(ids: list[str]) -> dict[str, list[Any]]:
    """What each job ended as: its state, and whether its caller has an answer."""
    found = {}
    for one in ids:
        job = messages.job(one)
        try:
            answered = bool(job.get(timeout=100).output)
        except JobFailed:
            answered = False
        found[one] = [job.state, answered, job.celery.state]
    return found


def change(revoked: str, cancelled: str, expedited: str) -> dict[str, Any]:
    """Three changes of mind about three jobs that wait; what the service said."""
    messages.job(revoked).revoke()
    return {
        "cancelled": messages.job(cancelled).cancel(why="the page is gone").did,
        "expedited": messages.job(expedited).expedite(why="somebody asks for it").did,
    }


def main() -> None:
    """One of these, by its name."""
    name, *words = sys.argv[1:]
    found: Any
    match name:
        case "publish":
            found = publish(words[0], int(words[1]))
        case "change":
            found = change(*words)
        case _:
            found = ends(words)
    print(json.dumps({"told": found}))


if __name__ == "__main__":
    main()
