"""The report: counted by the receivers, the caller and the provider's books, not by the service."""

import json
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from app.ledger import views
from dev.demo.plan import Plan

#: Lines of the books that are asked for at once.
_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class CallerLog:
    """What the caller's process and worker wrote down."""

    path: Path

    def events(self, name: str) -> list[dict[str, Any]]:
        """Every line of one kind, in order."""
        if not self.path.exists():
            return []
        lines = (json.loads(line) for line in self.path.read_text("utf-8").splitlines())
        return [line for line in lines if line["event"] == name]

    def webhooks(self) -> list[dict[str, Any]]:
        """The events whose signatures the caller's receiver verified, each once."""
        return list({line["id"]: line for line in self.events("webhook")}.values())

    def progress(self) -> str:
        """How far the report is that a user watches; empty before it has begun."""
        told = self.events("progress")
        return f"the report: {told[-1]['text']}" if told else ""

    def count(self, name: str) -> int:
        """How many lines of a kind there are."""
        return len(self.events(name))


def books(simulator_url: str) -> dict[str, Any]:
    """What the simulator billed."""
    with urllib.request.urlopen(f"{simulator_url}/_books", timeout=60) as reply:  # noqa: S310 - our own loopback address
        found: dict[str, Any] = json.loads(reply.read())
    return found


def lines(simulator_url: str) -> list[dict[str, Any]]:
    """Every line that the simulator billed."""
    found: list[dict[str, Any]] = []
    while True:
        url = f"{simulator_url}/_books/lines?limit={_PAGE}&offset={len(found)}"
        with urllib.request.urlopen(url, timeout=60) as reply:  # noqa: S310 - our own loopback address
            page: list[dict[str, Any]] = json.loads(reply.read())
        found += page
        if len(page) < _PAGE:
            return found


def lost(plan: Plan, log: CallerLog) -> int:
    """Documents that the caller published and has heard nothing of."""
    bodies = log.events("body")
    missing = len(plan.documents) - (bodies[0]["jobs"] if bodies else 0)
    if plan.embeds:
        missing += len(plan.documents) - sum(line["documents"] for line in log.events("index"))
    if plan.small and not log.events("errback"):
        missing += len(plan.small)
    return missing


def report(
    *,
    plan: Plan,
    log: CallerLog,
    mails: Path,
    billed: dict[str, Any] | None,
    engine: Engine,
    seconds: float,
) -> dict[str, Any]:
    """`.demo/report.json`. `billed` is None at a real provider, which keeps its books to itself."""
    with engine.connect() as connection:
        spending = {line.tier: line for line in views.spending(connection)}
        batches = views.batches(connection, limit=1000)
        charged = views.charged_nano_usd(connection)
    sizes: dict[str, list[int]] = {}
    for line in batches:
        if line.provider_batch_id is not None:
            sizes.setdefault(line.provider, []).append(line.jobs_count)
    batch = spending["batch"]
    bodies = log.events("body")
    states = Counter[str]()
    for tier in spending.values():
        states.update(jobs=tier.jobs, succeeded=tier.succeeded, failed=tier.failed)
    return {
        "documents": bodies[0]["jobs"] if bodies else 0,
        "jobs": states["jobs"],
        "succeeded": states["succeeded"],
        "failed": states["failed"],
        "failed_injected": plan.failures,
        "provider_batches": sum(len(found) for found in sizes.values()),
        "largest_batch": max((size for found in sizes.values() for size in found), default=0),
        "batches_by_provider": {
            name: {"batches": len(found), "largest": max(found)} for name, found in sizes.items()
        },
        "chord_body_runs": len(bodies),
        "errback_runs": log.count("errback"),
        "emails_received": len(list(mails.glob("*.eml"))),
        "webhooks_verified": len(log.webhooks()),
        "documents_embedded": sum(line["documents"] for line in log.events("index")),
        "report_steps": max((line["done"] for line in log.events("progress")), default=0),
        "progress_seen": log.count("progress"),
        "cost_micro_usd": micro(charged),
        "sync_cost_micro_usd": micro(sum(one.sync_cost_nano_usd for one in spending.values())),
        "billed_micro_usd": billed["billed_micro_usd"] if billed is not None else None,
        "batch_cost_micro_usd": micro(batch.cost_nano_usd),
        "batch_sync_cost_micro_usd": micro(batch.sync_cost_nano_usd),
        "seconds": round(seconds, 1),
    }


def micro(nanos: int) -> int:
    """Nano-dollars as micro-dollars, rounded half to even."""
    return round(nanos / 1000)
