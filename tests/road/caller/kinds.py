"""A caller's process that asks for chat completions and embeddings at every tier."""

import json
from functools import partial
from typing import Any

from celery import chord

from tasks import body
from unhurried import Result, Tier, chat, embeddings, stored
from unhurried.binding import bound_app

TURNS = [{"role": "user", "content": "Tell me about kinds. A kind is a sort of thing."}]
TEXTS = ["one thing", "another thing"]
#: Their vectors are too long to travel inside a result.
MANY = [f"thing number {number}" for number in range(1000)]
FAILING = [{"role": "user", "content": "[[sim:invalid]]"}]


def ask(tier: Tier) -> dict[str, Any]:
    """Publish everything at one tier."""
    completion = {"model": "gpt-4o-mini", "messages": TURNS, "max_tokens": 100}
    embedding = {"model": "text-embedding-3-small", "input": TEXTS}
    return {
        "chat": chat.delay(**completion, tier=tier).celery,
        "embeddings": embeddings.delay(**embedding, tier=tier).celery,
        "many": embeddings.delay(**{**embedding, "input": MANY}, tier=tier).celery,
        "failing": chat.delay(
            model="gpt-4o-mini", messages=FAILING, tier=tier, on_failure="return"
        ).celery,
        "chord": chord([chat.s(**completion, tier=tier), embeddings.s(**embedding, tier=tier)])(
            body.s("kinds")
        ),
    }


def told(value: Any) -> Any:
    """A value as the test reads it; vectors by their shape."""
    if not isinstance(value, dict) or value.get("endpoint") != "embeddings":
        return value
    vectors = Result.parse(value, fetch=partial(stored.output, bound_app())).vectors
    return {**value, "output": "", "vectors": [len(vector) for vector in vectors]}


def main() -> None:
    """Publish at every tier, then wait."""
    waiting = {tier: ask(tier) for tier in Tier}
    print(
        json.dumps(
            {
                tier: {name: told(result.get(timeout=60)) for name, result in results.items()}
                for tier, results in waiting.items()
            }
        )
    )


if __name__ == "__main__":
    main()
