"""A caller's process that publishes and goes away: what is parked then is for Flower to show."""

import json
from typing import Any

from celery import chain

from tasks import length, question
from unhurried import messages, responses

SECRET = "the-prompt-that-nobody-sees"


def ask(start: str = "Tell me about parking", **options: Any) -> Any:
    """One signature at the batch tier."""
    turns = [{"role": "user", "content": f"{start} {SECRET}. A car stands. It is not driven."}]
    return messages.s(
        model="claude-haiku-4-5", max_tokens=100, messages=turns, tier="batch", **options
    )


def answer() -> Any:
    """One signature at the batch tier whose prompt the step before gives."""
    return messages.s(model="claude-haiku-4-5", max_tokens=100, tier="batch")


def main() -> None:
    """Publish everything; its ids by name."""
    soon = responses.delay(
        model="gpt-5-mini", input=f"Tell me about soon {SECRET}.", tier="near-real-time"
    )
    chained = chain(question.s("parks"), answer(), length.s("parked")).apply_async()
    print(
        json.dumps(
            {
                "good": ask(workload="road-notes").apply_async().id,
                "retried": ask("[[sim:once-expired]] Tell me again").apply_async().id,
                "bad": ask("[[sim:invalid]] Tell me nothing").apply_async().id,
                "returned": ask("[[sim:invalid]] Never", on_failure="return").apply_async().id,
                "refused": ask(account="nobody").apply_async().id,
                "soon": soon.id,
                "question": chained.parent.parent.id,
                "chained": chained.parent.id,
                "length": chained.id,
            }
        )
    )


if __name__ == "__main__":
    main()
