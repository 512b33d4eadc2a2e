"""`prune`: what is kept no longer goes now. Says first what that is, and asks.

Exit codes: 0 something went, or would; 1 nothing was to be done; 2 it cannot be done as it is said.
"""

import json
import sys
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import click

from app.celery import app
from app.changing.decisions import Outcome
from app.cli import asking
from app.cli.asking import Said, user
from app.cli.printing import as_json_option, cell, console, table
from app.policy.changing import NOT_UNDONE, What
from app.policy.keeping import Pruned
from app.settings import settings
from app.upkeep.prune import tell_pruned
from app.wiring import changing, upkeep

_NOTHING: Final = 1


def register(group: click.Group) -> None:
    """Add the command."""
    group.add_command(prune)


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and do nothing.")
@click.option("--content-days", type=int, help="Instead of UNHURRIED_KEEP_CONTENT_DAYS.")
@click.option("--records-days", type=int, help="Instead of UNHURRIED_KEEP_RECORDS_DAYS.")
@click.option("--why", help="The reason; it is recorded. Needed unless --dry-run.")
@click.option("--who", default=user, help="Who decides; else the user of this system.")
@click.option("--request-id", type=click.UUID, default=uuid4, help="The same one acts once.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@as_json_option
def prune(
    *,
    dry_run: bool,
    content_days: int | None,
    records_days: int | None,
    why: str | None,
    who: str,
    request_id: Any,
    yes: bool,
    as_json: bool,
) -> None:
    """Empty and delete what is kept no longer, as upkeep does by and by: all of it, and now.

    What is not at an end stays, however old it is, and why is said. It may be interrupted anywhere, and typed
    again.
    """
    days = _days(content_days, records_days)
    if not dry_run and not (why or "").strip():
        raise click.UsageError("--why needs a reason that somebody else understands later")
    said = Said(why=why or "", who=who, request_id=request_id, as_json=as_json, yes=yes)
    plan = upkeep.pruning(app).preview(**days)
    if not as_json:
        _show("Would go now" if dry_run else "Goes now", plan)
    if dry_run:
        if as_json:
            click.echo(json.dumps({"dry_run": True, **_told(plan)}, indent=2))
        sys.exit(0 if plan.total else _NOTHING)
    asking.confirm(
        said,
        What.PRUNE,
        f"prune {plan.total:,} things ({plan.bytes_count:,} bytes), {plan.unread_count:,} of them "
        "results that nobody has picked up",
        NOT_UNDONE[What.PRUNE],
        must=True,
    )
    _carry_out(said, days, plan)


def _days(content_days: int | None, records_days: int | None) -> dict[str, int]:
    kept = settings()
    content = content_days if content_days is not None else kept.keep_content_days
    records = records_days if records_days is not None else kept.keep_records_days
    names = (
        "--content-days" if content_days is not None else "UNHURRIED_KEEP_CONTENT_DAYS",
        "--records-days" if records_days is not None else "UNHURRIED_KEEP_RECORDS_DAYS",
    )
    asking.parsed(lambda _: kept.require_kept(content, records, names=names), None)
    return {"content_days": content, "records_days": records}


def _carry_out(said: Said, days: dict[str, int], plan: Pruned) -> None:
    subject = f"content older than {days['content_days']} days, records older than {days['records_days']} days"
    decision = said.decision(What.PRUNE, subject)
    with click.progressbar(
        length=plan.total, label="Pruning", file=sys.stderr, hidden=said.as_json
    ) as bar:

        def do(_: datetime) -> Outcome:
            done = upkeep.pruning(app).run(**days, progress=bar.update)
            if done.total:
                tell_pruned(done)
            return _told(done)

        outcome = asking.ended(lambda: changing.decisions(_wake_nobody).record(decision, do))
    if said.as_json:
        click.echo(json.dumps({"request_id": str(said.request_id), **outcome}, indent=2))
    else:
        rows = [(cell(count), kind) for kind, count in outcome["did"].items()]
        console().print(table(f"Pruned, request {said.request_id}", ("", "what"), rows))
        if outcome.get("repeated"):
            console().print("It was done before; nothing was done now.")
    if not outcome["did"]:
        sys.exit(_NOTHING)


def _wake_nobody() -> None:
    """Nothing waits for what is gone."""


def _told(pruned: Pruned) -> Outcome:
    """Counts, as they are recorded: never what went."""
    return {
        "did": {str(kind): count for kind, count in pruned.counts.items()},
        "left": {str(why): count for why, count in pruned.held.items()},
        "unread_count": pruned.unread_count,
        "bytes_count": pruned.bytes_count,
        "oldest_at": pruned.oldest_at.isoformat() if pruned.oldest_at else None,
    }


def _show(title: str, pruned: Pruned) -> None:
    rows = [(cell(count), str(kind)) for kind, count in pruned.counts.items()]
    rows += [(cell(count), f"stays: {why}") for why, count in pruned.held.items()]
    out = console()
    out.print(table(title, ("", "what"), rows))
    out.print(
        f"{pruned.bytes_count:,} bytes; the oldest ended {cell(pruned.oldest_at)}; "
        f"{pruned.unread_count:,} results among it were never picked up"
    )
