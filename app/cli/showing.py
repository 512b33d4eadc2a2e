"""`show X`: one timeline from the call site to whoever picked the result up."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import click

from app.changing.revealing import REVEAL
from app.cli.asking import user
from app.cli.printing import as_json_option, cell, console, ledger_read, table, write_json
from app.ledger.actions import Decision
from app.ledger.naming import Candidate
from app.ledger.timeline import Timeline
from app.policy.findings import spoken
from app.wiring import changing, standing

_SEVERAL: Final = 1
_NONE: Final = 2


def register(group: click.Group) -> None:
    """Add the command."""
    group.add_command(show)


@click.command()
@click.argument("name", metavar="X")
@as_json_option
@click.option("--reveal", is_flag=True, help="Show what was asked, too; it is recorded.")
@click.option("--why", help="The reason, which --reveal needs.")
@click.option("--who", default=user, help="Who looks; else the user of this system.")
@click.pass_context
def show(
    ctx: click.Context, *, name: str, as_json: bool, reveal: bool, why: str | None, who: str
) -> None:
    """Tell everything that happened to X, and never what was asked or answered unless --reveal says so.

    X is a job's id, task id, idempotency key, subject, custom_id, result id or provider request id; a
    batch's id, provider id or token; or a run's id. Exit code: 0 shown, 1 several things have that name (they are listed), 2
    nothing has.
    """
    if reveal and not (why or "").strip():
        raise click.UsageError(
            "--reveal needs --why, a reason that somebody else understands later"
        )
    with ledger_read():
        found = standing.archive().named(name)
    if isinstance(found, Timeline):
        asked = _revealed(found, who=who, why=why or "") if reveal else None
        _show(found, asked, as_json=as_json)
    elif found:
        _candidates(name, found, as_json=as_json)
        ctx.exit(_SEVERAL)
    else:
        click.echo(f"nothing here is called {name!r}", err=True)
        ctx.exit(_NONE)


def _candidates(name: str, found: list[Candidate], *, as_json: bool) -> None:
    if as_json:
        write_json({"candidates": found})
        return
    rows = [(one.kind, one.id, one.found_by, one.state, one.workload, one.subject) for one in found]
    columns = ("kind", "id", "found by", "state", "workload", "subject")
    console().print(table(f"Several are called {name!r}: show one by its id", columns, rows))


def _revealed(found: Timeline, *, who: str, why: str) -> dict[str, Any]:
    if found.kind != "job":
        raise click.UsageError(f"a {found.kind} asks nothing by itself: show one of its jobs")
    pruned_at = found.facts["content_pruned_at"]
    if pruned_at is not None:
        raise click.UsageError(f"what {found.id} asked was pruned on {pruned_at:%Y-%m-%d}")
    decision = Decision(
        who=who, why=why, what=REVEAL, subject=f"job:{found.id}", request_id=uuid4()
    )
    asked = changing.revealing().request(decision, found.id)
    if asked is None:
        raise click.UsageError(f"what {found.id} asked was pruned just now")
    return asked


def _show(found: Timeline, asked: dict[str, Any] | None, *, as_json: bool) -> None:
    if as_json:
        write_json(found if asked is None else {**asdict(found), "request": asked})
        return
    out = console()
    facts = [(name, _fact(value)) for name, value in found.facts.items() if value is not None]
    out.print(table(f"{found.kind} {found.id}", ("", ""), facts))
    rows = []
    before: datetime | None = None
    for one in found.entries:
        # Clocks differ: a span is never less than nothing.
        rows.append((one.at, spoken(one.at - before) if before else "", one.what, one.detail))
        before = one.at
    out.print(table("What happened", ("at (UTC)", "after", "what", ""), rows))
    if asked is not None:
        click.echo(json.dumps(asked, indent=2, ensure_ascii=False))


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {cell(one)}" for name, one in value.items())
    return cell(value)
