"""`show X`: one timeline from the call site to whoever picked the result up."""

from datetime import datetime
from typing import Any, Final

import click

from app.cli.printing import as_json_option, cell, console, ledger_read, table, write_json
from app.ledger.timeline import Candidate, Timeline
from app.policy.findings import spoken
from app.wiring import standing

_SEVERAL: Final = 1
_NONE: Final = 2


def register(group: click.Group) -> None:
    """Add the command."""
    group.add_command(show)


@click.command()
@click.argument("name", metavar="X")
@as_json_option
@click.pass_context
def show(ctx: click.Context, *, name: str, as_json: bool) -> None:
    """Tell everything that happened to X, never what was asked or answered.

    X is a job's id, task id, idempotency key, subject, custom_id, result id or provider request id; or a
    batch's id, provider id or token. Exit code: 0 shown, 1 several things have that name (they are listed), 2
    nothing has.
    """
    with ledger_read():
        found = standing.archive().named(name)
    if isinstance(found, Timeline):
        _show(found, as_json=as_json)
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


def _show(found: Timeline, *, as_json: bool) -> None:
    if as_json:
        write_json(found)
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


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {cell(one)}" for name, one in value.items())
    return cell(value)
