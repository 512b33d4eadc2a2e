"""A caller's process that has programs told: by a notice, a chord's body, a link and a chain's end."""

import json
from typing import Any

from celery import chain, chord

from tasks import counts
from unhurried import JobFailed, item, messages, responses, webhook

GOOD = "Tell me about hooks. A hook holds things."
BAD = "[[sim:invalid]] Tell me nothing."


def ask(prompt: str = GOOD, **options: Any) -> Any:
    """One signature at the batch tier."""
    turns = [{"role": "user", "content": prompt}]
    return messages.s(
        model="claude-haiku-4-5", max_tokens=100, messages=turns, tier="batch", **options
    )


def started() -> dict[str, Any]:
    """Publish everything; what to wait for, by name."""
    crm = webhook.to("crm")
    told = responses.delay(model="gpt-5-mini", input=GOOD, tier="batch", notify=crm, subject="u:1")
    lost = ask(BAD, on_failure="return")
    report = counts.s() | webhook.s("crm")
    return {
        "notice": told.celery,
        "notice of a failure": ask(BAD, on_failure="return", notify=crm).apply_async(),
        "chord": chord([ask(), lost], webhook.s("crm")).apply_async(),
        "chord failing": chord([ask(), ask(BAD)], webhook.s("crm")).apply_async(),
        "chain": chord([ask(), ask()], report.on_error(webhook.failed("crm"))).apply_async(),
        "link": ask().set(link=webhook.s("crm")).apply_async(),
        "middle": chain(ask(), webhook.s("crm"), counts.s()).apply_async(),
        "nobody": webhook.delay("nobody").celery,
        "notice to nobody": ask(notify=webhook.to("nobody")).apply_async(),
    }


def run() -> str:
    """Publish three calls as one run, one of which cannot be done; its id."""
    calls = [
        item({"model": "gpt-5-mini", "input": f"{start} {number}"}, key=f"hooks:{number}")
        for number, start in enumerate([GOOD, BAD, GOOD])
    ]
    told = webhook.to("crm")
    return str(responses.bulk(calls, tier="batch", workload="hooks", notify=told).id)


def outcome(result: Any) -> Any:
    """What the caller sees."""
    try:
        return {"id": result.id, "value": result.get(timeout=90)}
    except JobFailed as error:
        return {"id": result.id, "code": error.code, "text": str(error)}


def main() -> None:
    """Publish, then wait."""
    waiting, run_id = started(), run()
    found = {name: outcome(result) for name, result in waiting.items()}
    print(json.dumps({**found, "run": {"id": run_id}}))


if __name__ == "__main__":
    main()
