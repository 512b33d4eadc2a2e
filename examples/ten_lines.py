"""Summaries at half price, a report in your own worker, and a mail when it is ready.

In one terminal, from this folder: `celery -A ten_lines worker`; in another: `python ten_lines.py`.
UNHURRIED_REDIS_URL names the Redis that the service uses.
"""

import os
from typing import Any

from celery import Celery, chord

from unhurried import Result, email, messages

redis = os.environ["UNHURRIED_REDIS_URL"]
app = Celery("ten_lines", broker=redis, backend=redis)
to = os.environ.get("MAIL_TO", "you@example.org")
texts = ["The tide waits for no one.", "Rome was not built in a day.", "Still waters run deep."]


def ask(text: str) -> dict[str, Any]:
    """What would go to `client.messages.create`."""
    turns = [{"role": "user", "content": f"Explain this saying in one sentence: {text}"}]
    return {"model": "claude-haiku-4-5", "max_tokens": 200, "messages": turns}


@app.task
def report(values: list[dict[str, Any]]) -> dict[str, int]:
    """The chord's body: runs in your worker, once, hours later."""
    results = [Result.parse(value) for value in values]
    print(*(result.output for result in results if result.ok), sep="\n")
    return {"jobs": len(results), "failed": sum(not result.ok for result in results)}


if __name__ == "__main__":
    summaries = [messages.s(**ask(text), tier="batch", on_failure="return") for text in texts]
    body = report.s() | email.s(to=to)
    chord(summaries)(body.on_error(email.failed(to=to)))
