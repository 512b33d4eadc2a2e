"""The end of the demo: the mail as it arrived, one result with its age, the table of money."""

import email
import email.policy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from dev.demo.tally import CallerLog


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the run."""

    report: dict[str, Any]
    log: CallerLog
    mails: Path
    #: Whether everything that was to happen has happened in time.
    complete: bool


def everything(outcome: Outcome, console: Console, *, flower_url: str) -> None:
    """Print it all."""
    for answer in outcome.log.events("answered"):
        console.print(Panel(answer["output"], title="the sync answer", title_align="left"))
    for path in sorted(outcome.mails.glob("*.eml")):
        _mail(path, console)
    for event in outcome.log.webhooks():
        _webhook(event, console)
    bodies = outcome.log.events("body")
    if bodies:
        _result(bodies[0], console)
    _money(outcome.report, console)
    _told(outcome.report, console)
    _killed(outcome.report, console)
    _watched(outcome, console)
    console.print(f"Flower: {flower_url}")
    if not outcome.complete:
        console.print("Not everything arrived in time; the logs are in .demo/logs", style="red")


def _mail(path: Path, console: Console) -> None:
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = mail.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    head = "\n".join(f"{name}: {mail[name]}" for name in ("From", "To", "Subject", "Message-ID"))
    console.print(Panel(f"{head}\n\n{text}".strip(), title="the mail", title_align="left"))


def _webhook(event: dict[str, Any], console: Console) -> None:
    told = {name: value for name, value in event["data"].items() if value is not None}
    console.print(
        Panel(
            f"{event['id']}\n\n{json.dumps(told, indent=2)}",
            title=f"a webhook, verified by its receiver: {event['type']}",
            title_align="left",
        )
    )


def _result(body: dict[str, Any], console: Console) -> None:
    first = next((one for one in [body["first"]] if one.get("output")), body["first"])
    lines = [f"{name}: {first.get(name)}" for name in ("as_of", "produced_at", "effective_until")]
    said = first.get("output") or first.get("error", {}).get("message", "")
    console.print(
        Panel(
            f"{said}\n\n" + "\n".join(lines),
            title=f"one result: {first.get('key')}",
            title_align="left",
        )
    )
    for failed in body["failures"]:
        console.print(f"could not be done: {failed['key']} ({failed['code']})")


def _money(report: dict[str, Any], console: Console) -> None:
    table = Table(title="What it came to", title_justify="left")
    for name in ("jobs", "succeeded", "failed", "batches", "paid", "batch tier alone", "at sync"):
        table.add_column(name, justify="right")
    table.add_row(
        str(report["jobs"]),
        str(report["succeeded"]),
        str(report["failed"]),
        str(report["provider_batches"]),
        f"${report['cost_micro_usd'] / 1e6:.6f}",
        f"${report['batch_cost_micro_usd'] / 1e6:.6f}",
        f"${report['batch_sync_cost_micro_usd'] / 1e6:.6f}",
    )
    console.print(table)


def _told(report: dict[str, Any], console: Console) -> None:
    table = Table(title="Who was told, counted by the receivers", title_justify="left")
    for name in ("mails received", "webhooks verified"):
        table.add_column(name, justify="right")
    table.add_row(str(report["emails_received"]), str(report["webhooks_verified"]))
    console.print(table)


def _killed(report: dict[str, Any], console: Console) -> None:
    """What the kills of KILL=1 came to."""
    if "kills" in report:
        kills = ", ".join(f"{name} {count} times" for name, count in report["kills"].items())
        console.print(
            f"Killed: {kills}. Batches that were found again: {report['adopted']}. "
            f"Lost: {report['lost']}. Bought twice: {report['bought_twice']}."
        )


def _watched(outcome: Outcome, console: Console) -> None:
    """The report that a user watched, and what became of the documents' vectors."""
    steps = "\n".join(line["text"] for line in outcome.log.events("progress"))
    for filed in outcome.log.events("filed"):
        console.print(
            Panel(
                f"{steps}\n\n{filed['output']}",
                title="a near-real-time report, step by step",
                title_align="left",
            )
        )
    for index in outcome.log.events("index"):
        console.print(
            f"{index['documents']} documents embedded as {index['vectors']} vectors, at the batch tier"
        )
