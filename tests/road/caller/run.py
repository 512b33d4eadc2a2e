"""A caller's process: publishes every canvas shape at once, waits for all, prints what it got."""

import json
import sys
import time
from typing import Any

from celery import chain, chord, group
from celery.exceptions import ChordError
from celery.result import AsyncResult

from tasks import body, failed, length, linked, plain, question
from unhurried import JobFailed, email, messages, responses

WITHIN_S = 90
GOOD = "Tell me about queues. A queue decouples two parties. Batches are cheap."
BAD = "[[sim:invalid]] Tell me nothing."


def ask(provider: str, prompt: str = GOOD, **options: Any) -> Any:
    """One signature at the batch tier."""
    if provider == "anthropic":
        turns = [{"role": "user", "content": prompt}]
        request: dict[str, Any] = {
            "model": "claude-haiku-4-5",
            "max_tokens": 100,
            "messages": turns,
        }
        return messages.s(**request, **{"tier": "batch", **options})
    return responses.s(model="gpt-5-mini", input=prompt, **{"tier": "batch", **options})


def shapes(provider: str) -> dict[str, Any]:
    """Publish every shape; what to wait for, by name."""
    p = provider
    keyed = [ask(p, f"{GOOD} Part {n}.", idempotency_key=f"{p}:{n}") for n in range(4)]
    again = [ask(p, f"{GOOD} Part {n}.", idempotency_key=f"{p}:{n}") for n in range(4)]
    bad = ask(p, BAD)
    soft = ask(p, BAD, on_failure="return", idempotency_key=f"{p}:soft")
    one = ask(p, idempotency_key=f"{p}:one")
    link = one.clone().set(link=[linked.s("link"), linked.s("second link")])
    errback = ask(p, BAD).set(link_error=failed.s("link_error"))
    first = {"anthropic": messages, "openai": responses}[p]
    built: dict[str, Any] = {
        "get": ask(p),
        "get failing": bad,
        "get returned": soft,
        "group": group([ask(p), ask(p, GOOD + " Again.")]),
        "chord": chord(keyed, body.s("chord")),
        "chord of the same keys": chord(again, body.s("chord of the same keys")),
        "chord failing": chord(
            [ask(p), ask(p, BAD)], body.s("chord failing").on_error(failed.s("chord failing"))
        ),
        "chord returning": chord([ask(p), soft], body.s("chord returning")),
        "chord with an ordinary task": chord(
            [ask(p), plain.s(7)], body.s("chord with an ordinary task")
        ),
        "chain first": chain(ask(p), length.s("chain first")),
        "chain middle": chain(question.s("rivers"), _open(first, p), length.s("chain middle")),
        "chain last": chain(question.s("mountains"), _open(first, p)),
        "chain failing": chain(ask(p, BAD), length.s("chain failing")),
        "link": link,
        "link_error": errback,
        "chord of chains": chord(
            [chain(question.s(topic), _open(first, p)) for topic in ("tea", "coffee")],
            body.s("chord of chains"),
        ),
        "chord ending in mail": chord([ask(p), soft], email.s(to=f"{p}@example.org")),
    }
    return {name: signature.apply_async() for name, signature in built.items()}


def _open(handle: Any, provider: str) -> Any:
    """A signature whose prompt comes from the step before."""
    if provider == "anthropic":
        return handle.s(model="claude-haiku-4-5", max_tokens=100, tier="batch")
    return handle.s(model="gpt-5-mini", tier="batch")


def outcome(result: AsyncResult, until: float) -> Any:
    """What a caller sees: a value, or the class and text of an error."""
    try:
        value = result.get(timeout=max(until - time.monotonic(), 0.1))
    except (JobFailed, ChordError) as error:
        return {
            "raised": type(error).__name__,
            "text": str(error),
            "code": getattr(error, "code", None),
        }
    return {"value": value}


def main() -> None:
    """Every shape at every provider."""
    started = {provider: shapes(provider) for provider in sys.argv[1:]}
    until = time.monotonic() + WITHIN_S
    print(
        json.dumps(
            {
                provider: {name: outcome(result, until) for name, result in results.items()}
                for provider, results in started.items()
            }
        )
    )


if __name__ == "__main__":
    main()
