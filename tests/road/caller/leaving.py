"""A caller's process that publishes a chord for the hourly report and leaves; prints what it published.

`leaving.py KEY`: the prompts, the keys and the subject all say KEY.
"""

import json
import sys
from typing import Any

from celery import chord

from tasks import hourly_report
from unhurried import messages


def ask(key: str, number: int) -> Any:
    """One call of the workload."""
    turns = [{"role": "user", "content": f"canary-prompt {key} {number}. It is a secret."}]
    return messages.s(
        model="claude-haiku-4-5",
        max_tokens=100,
        messages=turns,
        tier="batch",
        workload="road-notes",
        subject=f"subject-{key}-{number}",
        idempotency_key=f"{key}-{number}",
    )


def main() -> None:
    """Publish, and say the ids."""
    key = sys.argv[1]
    header = [ask(key, number) for number in range(2)]
    body = chord(header)(hourly_report.s(key))
    print(json.dumps({"body": body.id, "parts": [one.id for one in body.parent.results]}))


if __name__ == "__main__":
    main()
