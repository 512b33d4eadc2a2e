"""`doctor`: what is found, and what in the configuration will not hold; each with its remedy."""

from typing import Any

import click

from app.cli.printing import as_json_option, console, marked, write_json
from app.policy.findings import Severity
from app.wiring import standing


def register(group: click.Group) -> None:
    """Add the command."""
    group.add_command(doctor)


@click.command()
@as_json_option
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> None:
    """Look at the configuration and at how everything stands; say what to do about each thing found.

    Asks no provider. Exit code: 0 nothing to do, 1 somebody should look, 2 something is stuck.
    """
    looked = standing.look().run()
    checks = standing.doctor().examine()
    findings = [one for one in looked.judgement.verdict.findings if one.severity.rank]
    told: list[dict[str, Any]] = [
        {"name": str(one.name), "severity": one.severity, "sentence": one.sentence}
        | {"remedy": one.remedy}
        for one in findings
    ]
    told += [
        {"name": one.name, "severity": Severity.ATTENTION, "sentence": one.sentence}
        | {"remedy": one.remedy}
        for one in checks
    ]
    if as_json:
        write_json(told)
    else:
        out = console()
        for one in told:
            out.print(marked(one["severity"]), f"{one['name']}: {one['sentence']}", markup=False)
            out.print(f"    {one['remedy']}", style="dim", markup=False)
        if not told:
            out.print("nothing to do")
    worst = max((one["severity"].rank for one in told), default=0)
    ctx.exit(worst)
