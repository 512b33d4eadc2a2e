"""A caller's process that asks the same keys twice, before and after the answers exist."""

import json
from typing import Any

from celery import chord

from tasks import body
from unhurried import IdempotencyConflict, messages

KEYS = 50
PROMPT = "Tell me about keys. A key opens one lock. Keep it safe."


def ask(number: int, *, prompt: str = PROMPT) -> Any:
    """One keyed signature."""
    turns = [{"role": "user", "content": f"{prompt} {number}"}]
    return messages.s(
        model="claude-haiku-4-5",
        max_tokens=100,
        messages=turns,
        tier="batch",
        idempotency_key=f"keys:{number}",
    )


def conflict() -> str:
    """What a key with another request gets."""
    try:
        ask(0, prompt="Something else.").apply_async().get(timeout=60)
    except IdempotencyConflict as error:
        return error.code
    return "answered"


def main() -> None:
    """Two chords over the same keys, a conflict, and the first job once more."""
    first = chord([ask(number) for number in range(KEYS)])(body.s("first")).get(timeout=60)
    second = chord([ask(number) for number in range(KEYS)])(body.s("second")).get(timeout=60)
    refused = conflict()
    again = ask(0).apply_async().get(timeout=60)
    print(json.dumps({"bodies": [first, second], "conflict": refused, "again": again["key"]}))


if __name__ == "__main__":
    main()
