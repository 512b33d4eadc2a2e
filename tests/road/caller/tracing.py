"""A caller's process whose calls carry a trace, as OpenTelemetry's instrumentation of Celery leaves it."""

import json
import sys
from typing import Any

from celery import chain, chord

from tasks import plain, traced
from unhurried import item, messages, responses, webhook

TRACE = {"traceparent": sys.argv[1], "tracestate": "vendor=own"}
TEXT = "Tell me about traces. A trace is what is left behind."


def ask(tier: str, **options: Any) -> Any:
    """One signature."""
    turns = [{"role": "user", "content": TEXT}]
    return messages.s(
        model="claude-haiku-4-5", max_tokens=100, messages=turns, tier=tier, **options
    )


def quoting(tier: str) -> Any:
    """One that fails."""
    turns = [{"role": "user", "content": "[[sim:invalid]]"}]
    return messages.s(model="claude-haiku-4-5", max_tokens=100, messages=turns, tier=tier)


def published(tier: str) -> dict[str, Any]:
    """Every way in which something follows, at one tier; each call carries the trace."""
    errback = traced.s(f"errback {tier}")
    parts = [plain.si(1), ask(tier).set(headers=TRACE)]
    return {
        "link": ask(tier).apply_async(headers=TRACE, link=traced.s(f"link {tier}")),
        "chain": chain(ask(tier), traced.s(f"chain {tier}")).apply_async(headers=TRACE),
        "chord": chord(parts, traced.s(f"chord {tier}")).apply_async(),
        "failing": quoting(tier).apply_async(headers=TRACE, link_error=errback),
    }


def main() -> None:
    """Publish at every tier, with a notice and without a trace as well, and wait."""
    waiting = {tier: published(tier) for tier in ("sync", "near-real-time", "batch")}
    told = ask("batch", notify=webhook.to("crm")).apply_async(headers=TRACE)
    alone = ask("batch").apply_async(link=traced.s("alone"))
    calls = [item({"model": "gpt-5-mini", "input": TEXT}, key="one")]
    run = responses.bulk(calls, tier="batch", workload="hooks", then=traced.s("run"))
    for results in waiting.values():
        for result in results.values():
            result.get(timeout=90, propagate=False)
    told.get(timeout=60)
    alone.get(timeout=60)
    ids = {tier: {name: one.id for name, one in each.items()} for tier, each in waiting.items()}
    print(json.dumps({**ids, "told": told.id, "alone": alone.id, "run": str(run.id)}))


if __name__ == "__main__":
    main()
