"""A caller's process that publishes jobs and ends; what became of them is in the caller's log.

`publish.py NAME PROVIDER COUNT [chord | mail | hook | mixed | sync | raise | retry]`: the prompt of each says
its number, and so does the answer. Each job is linked to a task of the caller's, but for a chord or a mail;
`mixed` is a fifth of them as a chord, a twentieth with a mail, the others linked. `raise` and `retry` are
near-real-time jobs with that `on_lost`.
"""

import sys
import time
from typing import Any

from celery import chord, uuid

from tasks import body, failed, landed
from unhurried import ServiceUnavailable, email, messages, responses, webhook

_SAY_EVERY = 10
_AGAIN_S = 0.2
_WITHIN_S = 180
_CHORD_SHARE = 5
_MAIL_SHARE = 20


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


def options(name: str, provider: str, number: int, count: int, shape: str) -> dict[str, Any]:
    """What a job of this number says beside its prompt."""
    if shape == "mail" or (shape == "mixed" and number < count // _MAIL_SHARE):
        return {"notify": email.to(f"{name}-{provider}-{number}@example.org")}
    if shape == "hook":
        return {"notify": webhook.to("crm")}
    if shape == "sync":
        return {"tier": "sync"}
    return {"tier": "near-real-time", "on_lost": shape} if shape in ("raise", "retry") else {}


def main() -> None:
    """Publish, and say how far it is."""
    name, provider, count, shape = [*sys.argv[1:], ""][:4]
    numbers = range(int(count))
    parts = len(numbers) if shape == "chord" else 0
    if shape == "mixed":
        parts = len(numbers) // _CHORD_SHARE
    if parts:
        chord([ask(name, provider, number) for number in numbers[-parts:]])(body.s(name))
    for number in numbers[: len(numbers) - parts]:
        asked = ask(name, provider, number, **options(name, provider, number, len(numbers), shape))
        if shape != "mail":
            # Of some nobody reads the result: their links alone tell that they have ended.
            ignored = {"ignore_result": True} if shape == "mixed" and number % 4 == 3 else {}
            links = {"link": landed.s(name, number), "link_error": failed.s(name, provider)}
            asked = asked.set(**links, **ignored)
        publish(asked)
        if number % _SAY_EVERY == 0:
            print(f"published {number}", flush=True)
    print("published all", flush=True)


if __name__ == "__main__":
    main()
