"""A caller's process at the near-real-time tier: every prompt at every provider, waited for."""

import json
from typing import Any

from celery import chord

from tasks import body
from unhurried import JobFailed, messages, responses

GOOD = "Tell me about minutes. A minute has sixty seconds. It passes."


def ask(provider: str, prompt: str, **options: Any) -> Any:
    """One signature."""
    if provider == "anthropic":
        turns = [{"role": "user", "content": prompt}]
        request: dict[str, Any] = {
            "model": "claude-haiku-4-5",
            "max_tokens": 100,
            "messages": turns,
        }
        return messages.s(**request, tier="near-real-time", **options)
    return responses.s(model="gpt-5-mini", input=prompt, tier="near-real-time", **options)


def outcome(result: Any) -> Any:
    """What the caller sees."""
    try:
        return {"value": result.get(timeout=60)}
    except JobFailed as error:
        return {"raised": type(error).__name__, "code": error.code}


def main() -> None:
    """Publish everything, then wait for it."""
    waiting = {}
    for provider in ("anthropic", "openai"):
        header = [ask(provider, f"{GOOD} {number}") for number in range(5)]
        waiting[provider] = {
            "get": ask(provider, GOOD).apply_async(),
            "failing": ask(provider, "[[sim:invalid]]").apply_async(),
            "busy once": ask(
                provider, f"[[sim:once-overloaded]] {GOOD}", on_lost="retry"
            ).apply_async(),
            "chord": chord(header)(body.s("soon")),
        }
    print(
        json.dumps(
            {
                provider: {name: outcome(result) for name, result in results.items()}
                for provider, results in waiting.items()
            }
        )
    )


if __name__ == "__main__":
    main()
