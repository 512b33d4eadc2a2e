"""A caller's process that says something unmistakable in every place where it may say anything."""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from celery import chain, chord

from tasks import body, counts, failed, length, linked, plain
from unhurried import UnknownJob, attach, email, messages, responses, webhook

TOLD: dict[str, str] = json.loads(os.environ["CANARIES"])
WITHIN_S = 60
#: The simulated model says the sentence that has most of a prompt's words.
PROMPT = f"{TOLD['answer']} birds birds birds birds. Birds birds birds. To {TOLD['prompt']} be."
TOOL = {
    "name": "look",
    "description": f"Looks {TOLD['tool']} up",
    "input_schema": {"type": "object", "properties": {TOLD["tool"]: {"type": "string"}}},
}


def ask(tier: str = "batch", prompt: str = PROMPT, **options: Any) -> Any:
    """One signature."""
    return messages.s(
        model="claude-haiku-4-5",
        max_tokens=100,
        system=f"Never say {TOLD['system']}",
        messages=[{"role": "user", "content": prompt}],
        tier=tier,
        **options,
    )


def quoting(tier: str = "batch", **options: Any) -> Any:
    """One whose provider refuses it, and says why in the caller's own words."""
    return messages.s(
        model="claude-haiku-4-5",
        max_tokens=100,
        messages=[{"role": "user", "content": f"[[sim:quote]] {TOLD['quoted']}"}],
        tier=tier,
        **options,
    )


def seen(tier: str) -> Any:
    """One with a picture."""
    photo = attach(f"\x89PNG {TOLD['attachment']}".encode(), media_type="image/png")
    source = {"type": "base64", "media_type": photo.media_type, "data": photo.base64}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": PROMPT}]
    turns = [{"role": "user", "content": parts}]
    return messages.s(model="claude-haiku-4-5", max_tokens=99, messages=turns, tier=tier)


def at_every_tier() -> Iterator[Any]:
    """What a caller may say, and what may go wrong with it."""
    for tier in ("sync", "near-real-time", "batch"):
        yield ask(tier)
        yield ask(tier, idempotency_key=TOLD["key"] + tier, subject=TOLD["subject"])
        # The same key with another request.
        yield ask(tier, f"Other. {PROMPT}", idempotency_key=TOLD["key"] + tier)
        yield ask(tier, f"[[sim:tool]] {PROMPT}", tools=[TOOL])
        yield ask(tier, f"[[sim:refusal]] {PROMPT}")
        yield quoting(tier)
        yield quoting(tier).on_error(failed.s("quoted"))
        yield responses.s(model="gpt-5-mini", input=PROMPT, temperature=TOLD["prompt"], tier=tier)
        yield seen(tier)
        yield chord([quoting(tier), ask(tier)], body.s("quoted").on_error(failed.s("chord")))
        yield chord([quoting(tier, on_failure="return"), ask(tier)], counts.s())
        yield chain(ask(tier), length.s("canaries"))
        yield chain(quoting(tier), plain.si(1))
    yield chain(ask("sync", workload="road-notes", subject=TOLD["subject"]), plain.si(1))


def of_the_outbox() -> Iterator[Any]:
    """Mails and webhooks that arrive, and those that nobody takes."""
    mail: dict[str, Any] = {
        "to": f"{TOLD['recipient']}@example.org",
        "subject": TOLD["mail_subject"],
    }
    nowhere = {**mail, "to": f"{TOLD['recipient']}@elsewhere.example"}
    for told in (email.to(**mail), webhook.to("crm"), webhook.to("gone"), email.to(**nowhere)):
        yield ask(notify=told, subject=TOLD["subject"], idempotency_key=TOLD["key"] + told.kind)
        yield quoting(notify=told, subject=TOLD["subject"])
    for last in (email.s(**mail), webhook.s("crm"), webhook.s("gone"), email.s(**nowhere)):
        yield chord([ask(), quoting(on_failure="return")], last)
        yield chord([ask(), quoting()], last)


def nobody_can_publish() -> Any:
    """A link that Celery does not know how to write."""
    told = linked.s(TOLD["prompt"]).set(serializer=f"no-{TOLD['prompt']}")
    return ask(prompt=f"Once. {PROMPT}").set(link=told)


def outcome(result: Any, until: float) -> str:
    """How it ended."""
    while not result.ready():
        if time.monotonic() > until:
            return "never"
        time.sleep(0.05)
    return str(result.state)


def reads() -> None:
    """Ask for the newest, as a page does, after Redis has forgotten where it is."""
    for subject in (TOLD["subject"], f"other-{TOLD['subject']}"):
        try:
            messages.latest("road-notes", subject=subject, max_staleness="1h")
        except UnknownJob:
            continue


def main() -> None:
    """Publish everything, wait for what ends, and print how."""
    waiting = [one.apply_async() for one in (*at_every_tier(), *of_the_outbox())]
    # Due long before it may begin.
    waiting += [ask(deadline="1s", prompt=f"Late. {PROMPT}").apply_async(countdown=3600)]
    nobody_can_publish().apply_async()
    until = time.monotonic() + WITHIN_S
    ends = [outcome(one, until) for one in waiting]
    reads()
    print(json.dumps({"ends": ends, "ids": [one.id for one in waiting]}))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
