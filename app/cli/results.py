"""Commands about results: let them count as read, tell again what was told of them.

As `app.cli.changing`: a reason, what is not undone, on the record; the same exit codes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import click
from rich.console import Console
from rich.progress import Progress

from app.celery import app, wake_all
from app.changing.decisions import Outcome
from app.changing.results import Plan
from app.cli import asking
from app.cli.asking import Said, asked
from app.policy.changing import NOT_UNDONE, What
from app.policy.subjects import OF_RESULTS, Kind, Subject
from app.policy.telling_again import Part
from app.wiring import changing as wiring

_WAKE: Final = partial(wake_all, app)
_AS: Final = asking.as_option(OF_RESULTS)


def register(group: click.Group) -> None:
    """Add the commands to a group."""
    for command in (read, redeliver):
        group.add_command(command)


@click.command()
@asking.thing
@_AS
@click.option("--consumer", help="everything that this consumer, task or webhook is missed for")
@asking.filters
@asked
def read(
    said: Said,
    thing: str | None,
    kind: str | None,
    consumer: str | None,
    **wanted: str | None,
) -> None:
    """Let unread results of THING count as read: a job, task, key, subject, run or batch."""
    if consumer is not None and (thing is not None or any(wanted.values())):
        raise click.UsageError("name one thing, or a consumer, or filters")
    found = (
        Subject(kind=Kind.CONSUMER, id=consumer)
        if consumer is not None
        else asking.subject(thing, kind, wanted, kinds=OF_RESULTS)
    )
    results = wiring.results(_WAKE)
    plan = results.preview_read(found)
    _confirm(said, What.READ, found, plan)
    decision = said.decision(What.READ, str(found))

    def do() -> Outcome:
        with _watching(said, plan) as progress:
            return results.read(decision, found, progress=progress)

    asking.report(said, do, not_undone=NOT_UNDONE[What.READ], of="results")


@click.command()
@asking.thing
@_AS
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([str(part) for part in Part]),
    help="this alone; may be said several times",
)
@click.option(
    "--since", help="with filters: what has ended within this span (1d) or since this moment"
)
@asking.filters
@asked
def redeliver(
    said: Said,
    thing: str | None,
    kind: str | None,
    *,
    only: tuple[str, ...],
    since: str | None,
    **wanted: str | None,
) -> None:
    """Tell again how tasks of THING ended: webhooks, mails, callbacks, and results that Redis has lost."""
    if thing is None and since is None:
        raise click.UsageError("with filters say --since: what ended long ago is rarely meant")
    found = asking.subject(
        thing,
        kind,
        wanted,
        since=asking.parsed(asking.past, since) if since is not None else None,
        kinds=OF_RESULTS,
    )
    parts = frozenset(map(Part, only)) or frozenset(Part)
    results = wiring.results(_WAKE)
    plan = asking.parsed(lambda one: results.preview_redeliver(one, only=parts), found)
    _confirm(said, What.REDELIVER, found, plan)
    decision = said.decision(What.REDELIVER, str(found))

    def do() -> Outcome:
        with _watching(said, plan) as progress:
            return results.redeliver(decision, found, only=parts, progress=progress)

    asking.report(said, do, not_undone=NOT_UNDONE[What.REDELIVER], of="told again")


def _confirm(said: Said, what: What, subject: Subject, plan: Plan) -> None:
    counts = ", ".join(f"{count:,} {deed}" for deed, count in sorted(plan.tally.did.items()))
    asking.confirm(
        said,
        what,
        f"{what} {subject}: {counts or 'nothing to do'}",
        NOT_UNDONE[what],
        must=subject.kind in (Kind.FILTER, Kind.CONSUMER),
    )


@contextmanager
def _watching(said: Said, plan: Plan) -> Iterator[Callable[[int], None]]:
    """How far it is, for whoever waits at a terminal; other readers get the end alone."""
    error = Console(stderr=True)
    with Progress(
        console=error, transient=True, disable=said.as_json or not error.is_terminal
    ) as bar:
        task = bar.add_task("tasks", total=plan.tasks_count)
        yield lambda seen: bar.update(task, completed=seen)
