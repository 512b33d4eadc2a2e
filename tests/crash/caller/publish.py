"""A caller's process that publishes jobs and ends; what became of them is in the caller's log.

`publish.py NAME PROVIDER COUNT [chord | mail | raise | retry]`: the prompt of each says its number, and so
does the answer. Each job is linked to a task of the caller's, but for a chord or a mail; `raise` and `retry`
are near-real-time jobs with that `on_lost`.
"""

import sys
import time
from typing import Any

from celery import chord, uuid

from tasks import body, failed, landed
from unhurried import ServiceUnavailable, email, messages, responses

_SAY_EVERY = 10
_AGAIN_S = 0.2
_WITHIN_S = 180


def ask(name: str, provider: str, number: int, **options: Any) -> Any:
    """One signature at the batch tier; no other has its prompt."""
    prompt = f"{name} {provider} is number {number}."
    options = {"tier": "batch", "idempotency_key": f"{name}:{provider}:{number}", **options}
    if provider == "anthropic":
        turns = [{"role": "user", "content": prompt}]
        return messages.s(model="claude-haiku-4-5", max_tokens=100, messages=turns, **options)
    return responses.s(model="gpt-5-mini", input=prompt, **options)


def publish(signature: Any) -> None:
    """Publish once, however often it has to be tried: the same task id each time."""
    task_id, until = uuid(), time.monotonic() + _WITHIN_S
    while True:
        try:
            signature.apply_async(task_id=task_id)
        except ServiceUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)
        else:
            return


def main() -> None:
    """Publish, and say how far it is."""
    name, provider, count, *shape = sys.argv[1:]
    numbers = range(int(count))
    if shape == ["chord"]:
        chord([ask(name, provider, number) for number in numbers])(body.s(name))
        return
    for number in numbers:
        if shape == ["mail"]:
            to = email.to(f"{name}-{number}@example.org")
            publish(ask(name, provider, number, notify=to))
        else:
            lost = {"tier": "near-real-time", "on_lost": shape[0]} if shape else {}
            asked = ask(name, provider, number, **lost)
            publish(asked.set(link=landed.s(name, number), link_error=failed.s(name)))
        if number % _SAY_EVERY == 0:
            print(f"published {number}", flush=True)
    print("published all", flush=True)


if __name__ == "__main__":
    main()
