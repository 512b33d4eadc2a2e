"""A caller's processes that publish runs: whole, cut off and again, cancelled, held; and look at one by its id."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks import bulk_report
from unhurried import JobCancelled, ServiceUnavailable, email, item, messages
from unhurried.bulk import Item

PROMPT = "Tell me about sand. A grain is small. A beach is large."
BAD = "[[sim:invalid]]"
WHOLE, CUT, CANCELLED = 5000, 1200, 600


def some(name: str, count: int, *, bad_every: int = 0, killed_at: int = 0) -> Iterator[Item]:
    """Calls with keys of their own; the process may die in the middle of them."""
    for number in range(count):
        if killed_at and number == killed_at:
            os._exit(9)
        start = BAD if bad_every and number % bad_every == 0 else PROMPT
        turns = [{"role": "user", "content": f"{start} {name} {number}"}]
        request = {"model": "claude-haiku-4-5", "max_tokens": 60, "messages": turns}
        yield item(request, key=f"{name}:{number}", subject=f"grain:{number}")


def publish(name: str, items: Iterator[Item], **options: Any) -> Any:
    """One run."""
    return messages.bulk(
        items,
        tier="batch",
        workload="road-bulk",
        key=name,
        then=bulk_report.s(name),
        **options,
    )


def whole() -> Any:
    """A run of thousands, some of which cannot be done."""
    notify = email.to("bulk@example.org")
    return publish("whole", some("whole", WHOLE, bad_every=1000), notify=notify).id


def cut_off() -> Any:
    """Killed while publishing."""
    return publish("cut", some("cut", CUT, killed_at=700)).id


def again() -> Any:
    """The same run, published whole."""
    return publish("cut", some("cut", CUT)).id


def held(until: str) -> Any:
    """In the middle of publishing, wait until somebody writes into this pipe."""

    def some_held() -> Iterator[Item]:
        for number, one in enumerate(some("cut", CUT)):
            if number == CUT - 1:
                Path(until).read_bytes()
            yield one

    try:
        return publish("cut", some_held()).id
    except ServiceUnavailable as error:
        return {"code": error.code, "says": str(error)}


def cancelled() -> Any:
    """Cancelled as soon as it is published."""
    run = publish("cancelled", some("cancelled", CANCELLED))
    run.cancel()
    try:
        run.celery.get(timeout=120)
    except JobCancelled as error:
        return {"code": error.code, "state": run.progress.state}
    return "ended"


def look(run_id: str) -> Any:
    """From another process, by the id alone."""
    run = messages.run(run_id)
    end = run.celery.get(timeout=150)
    progress = run.progress
    texts = sum(1 for result in run.results() if result.ok)
    return {
        "end": end,
        "state": progress.state,
        "counts": [progress.published, progress.total, progress.done, progress.failed],
        "texts": texts,
    }


def main() -> None:
    """What the command line names."""
    name, *arguments = sys.argv[1:]
    does: dict[str, Any] = {
        "whole": whole,
        "cut_off": cut_off,
        "again": again,
        "held": held,
        "cancelled": cancelled,
        "look": look,
    }
    print(json.dumps({"told": does[name](*arguments)}))


if __name__ == "__main__":
    main()
