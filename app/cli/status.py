"""`status`: how everything stands, worst first. Exit code 0 ok, 1 attention, 2 stuck."""

from collections import Counter
from typing import Any

import click
from rich.console import Console

from app.cli.printing import ago, as_json_option, console, marked, table, write_json
from app.policy.findings import SEVERITIES, FindingName, Severity
from app.policy.health import Health
from app.standing.look import Looked
from app.wiring import standing


def register(group: click.Group) -> None:
    """Add the command."""
    group.add_command(status)


@click.command()
@as_json_option
@click.option("--brief", is_flag=True, help="The verdict and its findings alone.")
@click.pass_context
def status(ctx: click.Context, *, as_json: bool, brief: bool) -> None:
    """Say how everything stands, the worst first, each finding with its remedy.

    Exit code: 0 all is well, however long it takes; 1 somebody should look; 2 something is stuck.
    """
    looked = standing.look().run()
    if as_json:
        write_json(_told(looked))
    else:
        _print(looked, console(), brief=brief)
    ctx.exit(looked.judgement.verdict.exit_code)


def _told(looked: Looked) -> dict[str, Any]:
    verdict, seen = looked.judgement.verdict, looked.standing
    return {
        "verdict": verdict.word,
        "exit_code": verdict.exit_code,
        "at": looked.at,
        "findings": verdict.findings,
        "batches": _by_health(looked),
        "queues": seen.queues,
        "unread": seen.unread,
        "rounds": seen.rounds,
        "unadmitted_count": seen.admission.unadmitted_count,
        "catalogue": {str(name): SEVERITIES[name] for name in FindingName},
    }


def _by_health(looked: Looked) -> dict[str, dict[str, int]]:
    """How many batches are how, by provider."""
    found: dict[str, Counter[str]] = {}
    for one in looked.judgement.batches:
        found.setdefault(one.batch.provider, Counter())[str(one.health)] += 1
    return {
        provider: {str(health): counts[str(health)] for health in Health}
        for provider, counts in sorted(found.items())
    }


def _print(looked: Looked, out: Console, *, brief: bool) -> None:
    verdict, seen, now = looked.judgement.verdict, looked.standing, looked.at
    out.print(marked(verdict.severity, verdict.word.upper()))
    for finding in verdict.findings:
        out.print(
            marked(finding.severity), f"{finding.name}: {finding.sentence}", markup=False, end="\n"
        )
        if finding.severity is not Severity.INFO:
            out.print(f"    {finding.remedy}", style="dim", markup=False)
        if finding.ids:
            out.print(f"    {', '.join(finding.ids)}", style="dim", markup=False)
    if brief or seen.ledger_error is not None:
        return
    rows = [
        (
            one.tier,
            f"{one.provider}/{one.account}",
            one.waiting_count,
            one.later_count,
            ago(one.oldest_at, now),
            ago(one.left_at, now),
        )
        for one in seen.queues
    ]
    columns = ("tier", "account", "waiting", "later", "oldest waits for", "last left before")
    out.print(table("What waits", columns, rows))
    counts = _by_health(looked)
    healths = ("provider", *(str(health) for health in Health))
    out.print(
        table("Batches", healths, [(name, *of.values()) for name, of in counts.items()]),
    )
    looks = [(one.name, ago(one.succeeded_at, now), one.error, one.host) for one in seen.rounds]
    out.print(table("Workers", ("round", "last well before", "last error", "host"), looks))
