"""The caller's view code: one question at once, every document at half price, a report to watch."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

from celery import chain, chord

from tasks import (
    build_index,
    build_report,
    file_report,
    gather,
    note,
    small_failed,
    small_report,
)
from unhurried import Followed, email, embeddings, follow, messages, pieces, responses, webhook

_WATCHED_S: Final = 90.0
_LOOK_EVERY_S: Final = 0.1
ASK = "Summarise this in two sentences.\n\n"


def signature(document: dict[str, Any], *, on_failure: str, answer_tokens: int) -> Any:
    """One document as one job at the batch tier."""
    common = {
        "tier": "batch",
        "workload": "demo",
        "idempotency_key": document["key"],
        "on_failure": on_failure,
        "effective_for": "24h",
    }
    prompt = ASK + document["text"]
    if document["provider"] == "anthropic":
        turns = [{"role": document.get("role", "user"), "content": prompt}]
        return messages.s(
            model=os.environ["DEMO_ANTHROPIC_MODEL"],
            max_tokens=answer_tokens,
            messages=turns,
            **common,
        )
    text: Any = prompt
    if "role" in document:
        text = [{"role": document["role"], "content": prompt}]
    return responses.s(
        model=os.environ["DEMO_OPENAI_MODEL"], max_output_tokens=answer_tokens, input=text, **common
    )


def question(plan: dict[str, Any]) -> str:
    """Ask at once, as a view does where a user waits."""
    if plan["question_provider"] == "anthropic":
        return messages.call(
            model=os.environ["DEMO_ANTHROPIC_MODEL"],
            max_tokens=200,
            messages=[{"role": "user", "content": plan["question"]}],
            tier="sync",
            timeout=60,
        ).output
    return responses.call(
        model=os.environ["DEMO_OPENAI_MODEL"],
        input=plan["question"],
        tier="sync",
        timeout=60,
    ).output


def summaries(plan: dict[str, Any]) -> None:
    """Every document as one chord; what fails is a value, and a mail and a webhook tell the rest."""
    report = build_report.s().set(link=webhook.s("demo", on_error=False))
    body = report | email.s(to=plan["mail_to"], template="ready")
    # Celery calls the errbacks of a chain's first step only: the person hears of a failure as well.
    body = body.on_error(email.failed(to=plan["mail_to"]))
    tokens = plan["answer_tokens"]
    whole = chord(
        [signature(one, on_failure="return", answer_tokens=tokens) for one in plan["documents"]]
    )(body)
    note("chord", id=whole.id, jobs=len(plan["documents"]))


def small_chord(plan: dict[str, Any]) -> None:
    """A chord that fails because one of its parts raises."""
    tokens = plan["answer_tokens"]
    small = [signature(one, on_failure="raise", answer_tokens=tokens) for one in plan["small"]]
    told = small_report.s().on_error(small_failed.s()).on_error(webhook.failed("demo"))
    chord(small)(told)
    note("small_chord", jobs=len(small))


def vectors(plan: dict[str, Any]) -> None:
    """Embeddings of every document, in pieces that the model takes."""
    model = os.environ["DEMO_EMBEDDING_MODEL"]
    parts = [
        embeddings.s(model=model, input=pieces(one["text"], tokens=1000), tier="batch")
        for one in plan["documents"]
    ]
    chord(parts)(build_index.s())
    note("embedding", jobs=len(parts))


def report(plan: dict[str, Any]) -> Followed:
    """Four steps, ours and the caller's own, of which a user watches the progress."""
    model = os.environ[f"DEMO_{plan['question_provider'].upper()}_MODEL"]
    if plan["question_provider"] == "anthropic":
        outline = messages.s(model=model, max_tokens=400, tier="near-real-time")
        draft = outline.clone()
    else:
        outline = responses.s(model=model, max_output_tokens=2000, tier="near-real-time")
        draft = outline.clone()
    followed = follow(chain(gather.s(plan["report"]), outline, draft, file_report.s()))
    followed.delay()
    return followed


def watch(followed: Followed) -> None:
    """Note every step as a page that polls would show it."""
    seen, until = "", time.monotonic() + _WATCHED_S
    while time.monotonic() < until:
        now = followed.steps
        if now.text != seen:
            seen = now.text
            note("progress", text=seen, done=now.done, total=now.total)
        if now.ended:
            return
        time.sleep(_LOOK_EVERY_S)


def main(path: Path) -> None:
    """Publish what the plan file says, note the ids, and watch the report."""
    plan = json.loads(path.read_text("utf-8"))
    note("answered", output=question(plan))
    summaries(plan)
    if plan["small"]:
        small_chord(plan)
    if plan["embeds"]:
        vectors(plan)
    watch(report(plan))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
