"""The caller's view code: one question at once, then a chord of every document at half price."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from celery import chord

from tasks import build_report, note, small_failed, small_report
from unhurried import email, messages, responses, webhook

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


def main(path: Path) -> None:
    """Publish what the plan file says, and note the ids."""
    plan = json.loads(path.read_text("utf-8"))
    if plan["question_provider"] == "anthropic":
        answer = messages.call(
            model=os.environ["DEMO_ANTHROPIC_MODEL"],
            max_tokens=200,
            messages=[{"role": "user", "content": plan["question"]}],
            tier="sync",
            timeout=60,
        )
    else:
        answer = responses.call(
            model=os.environ["DEMO_OPENAI_MODEL"],
            input=plan["question"],
            tier="sync",
            timeout=60,
        )
    note("answered", output=answer.output)
    report = build_report.s().set(link=webhook.s("demo", on_error=False))
    body = report | email.s(to=plan["mail_to"], template="ready")
    # Celery calls the errbacks of a chain's first step only: the person hears of a failure as well.
    body = body.on_error(email.failed(to=plan["mail_to"]))
    tokens = plan["answer_tokens"]
    whole = chord(
        [signature(one, on_failure="return", answer_tokens=tokens) for one in plan["documents"]]
    )(body)
    note("chord", id=whole.id, jobs=len(plan["documents"]))
    if plan["small"]:
        small = [signature(one, on_failure="raise", answer_tokens=tokens) for one in plan["small"]]
        told = small_report.s().on_error(small_failed.s()).on_error(webhook.failed("demo"))
        chord(small)(told)
        note("small_chord", jobs=len(small))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
