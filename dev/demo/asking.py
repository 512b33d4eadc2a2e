"""Before real money is spent: name the most it can cost, and ask."""

import sys
from typing import Final

from rich.console import Console

from app.policy.outcomes import Usage
from app.policy.pricing import price
from dev.demo.plan import ANSWER_TOKENS, EMBEDDING_MODEL, QUESTION, Plan

_BYTES_PER_TOKEN: Final = 2
#: An answer at once may run longer; still bounded. There are three: a question, and two steps of a report.
_DIRECT_ANSWER_TOKENS: Final = 4000
_DIRECT_CALLS: Final = 3


def agree_to_cost(plan: Plan, provider: str, model: str, console: Console) -> float:
    """Ask for a yes; the most it can cost in dollars, 0 where no price is known. SystemExit without."""
    jobs = [*plan.documents, *plan.small]
    tokens = sum(len(job["text"].encode()) // _BYTES_PER_TOKEN + 100 for job in jobs)
    batch = Usage(input_tokens=tokens, output_tokens=ANSWER_TOKENS * len(jobs))
    direct = Usage(
        input_tokens=_DIRECT_CALLS * (len(QUESTION) + _DIRECT_ANSWER_TOKENS),
        output_tokens=_DIRECT_CALLS * _DIRECT_ANSWER_TOKENS,
    )
    embedded = Usage(input_tokens=tokens if plan.embeds else 1)
    parts = [
        price(provider, model, batch, batch=True, overrides={}),
        price(provider, model, direct, batch=False, overrides={}),
        price("openai", EMBEDDING_MODEL, embedded, batch=True, overrides={}),
    ]
    known = [part for part in parts if part is not None]
    most = f"at most ${sum(known) / 1e9:.2f}" if len(known) == len(parts) else "an unknown sum"
    console.print(
        f"{len(jobs)} documents to {model} at {provider}: this costs {most}. Go on? [y/N] ",
        markup=False,
    )
    if not sys.stdin.isatty() or sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise SystemExit("nothing was sent")
    return sum(known) / 1e9 if len(known) == len(parts) else 0.0
