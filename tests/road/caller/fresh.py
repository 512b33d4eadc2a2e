"""A caller's process whose chords end in a consumer that tolerates an hour, and whose pages read."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import chord

from tasks import hourly_report
from unhurried import NotReady, StaleResult, UnknownJob, consumer, messages

SUBJECT = "user:17"
_POINTED_AT_WITHIN_S = 20.0
PROMPT = "Tell me about clocks. A clock shows the hours. It ticks."


def ask(number: int, as_of: datetime, **options: Any) -> Any:
    """One call of the workload."""
    turns = [{"role": "user", "content": f"{PROMPT} {number} {as_of.isoformat()}"}]
    return messages.s(
        model="claude-haiku-4-5",
        max_tokens=100,
        messages=turns,
        tier="batch",
        workload="road-notes",
        as_of=as_of,
        **options,
    )


def report(name: str, *moments: datetime) -> dict[str, Any]:
    """What a chord over inputs that were true at these moments comes to."""
    header = [ask(number, moment) for number, moment in enumerate(moments)]
    try:
        return {"value": chord(header)(hourly_report.s(name)).get(timeout=60)}
    except StaleResult as refused:
        return {"age_s": round(refused.age_s), "tolerated_s": round(refused.tolerated_s)}


def newest(expected: str) -> str:
    """The newest answer, once it is that one, or else after a while: it is pointed at after it is there."""
    until = time.monotonic() + _POINTED_AT_WITHIN_S
    while time.monotonic() < until:
        with suppress(UnknownJob, NotReady):
            if (
                expected
                == messages.latest("road-notes", subject=SUBJECT, max_staleness="6h").job_id
            ):
                break
        time.sleep(0.05)
    return str(messages.latest("road-notes", subject=SUBJECT, consumer="clock-page").job_id)


def main() -> None:
    """Stale and fresh chords, the newest answer, and a result that Redis lost."""
    now = datetime.now(UTC)
    before_the_batch = now - timedelta(hours=2)
    consumer("clock-page", workload="road-notes", max_staleness="6h", owner="web")
    told: dict[str, Any] = {
        "stale": report("stale", now, before_the_batch),
        "fresh": report("fresh", now, now),
    }
    published = {
        name: ask(0, now - timedelta(hours=age), subject=SUBJECT).apply_async()
        for name, age in (("old", 5), ("new", 1))
    }
    for result in published.values():
        result.get(timeout=60)
    told["expected"] = published["new"].get()["job_id"]
    told["newest"] = newest(told["expected"])
    # As after a Redis that lost its data.
    lost = published["old"]
    lost.backend.client.delete(lost.backend.get_key_for_task(lost.id), f"unhurried:job:{lost.id}")
    told["brought back"] = messages.read(lost.id, max_staleness="6h").output
    print(json.dumps(told))


if __name__ == "__main__":
    main()
