"""A caller's process that asks the same without a key, at once and again, in a workload that shares."""

import json
from typing import Any

from celery import chord

from tasks import body
from unhurried import messages

TIMES = 20
TURNS = [
    {"role": "user", "content": "Tell me about echoes. An echo repeats. It costs nothing more."}
]


def ask(**options: Any) -> Any:
    """The one request."""
    return messages.s(
        model="claude-haiku-4-5",
        max_tokens=60,
        messages=TURNS,
        workload="road-shared",
        **{"tier": "batch", **options},
    )


def main() -> None:
    """Many at once, once more at every tier, and for another tenant."""
    together = chord([ask() for _ in range(TIMES)])(body.s("shared")).get(timeout=60)
    first = ask().apply_async().get(timeout=60)
    others = [ask(tier=tier).apply_async().get(timeout=60) for tier in ("sync", "near-real-time")]
    stranger = ask(tenant="stranger").apply_async().get(timeout=60)
    print(
        json.dumps(
            {
                "body": together,
                "results": len({one["result_id"] for one in (first, *others)}),
                "moments": len({one["as_of"] for one in (first, *others)}),
                "stranger": stranger["result_id"] == first["result_id"],
            }
        )
    )


if __name__ == "__main__":
    main()
