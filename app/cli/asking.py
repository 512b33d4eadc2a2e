"""What every command that changes something has in common: a reason, a confirmation, a report."""

import functools
import getpass
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeVar
from uuid import UUID, uuid4

import click
from rich.console import Console
from rich.table import Table

from app.changing.decisions import Outcome, UnderWayError
from app.ledger import changing
from app.ledger.actions import AnotherDecisionError, Decision
from app.policy import changing as policy
from app.policy import moments
from app.policy.changing import What, Wish
from app.policy.subjects import OF_JOBS, Kind, Subject, filtered
from app.wiring.stores import engine
from unhurried.change_wire import Changed

_NOTHING: Final = 1
_IMPOSSIBLE: Final = 2

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """The options that all of them take."""

    why: str
    who: str
    request_id: UUID
    as_json: bool
    yes: bool

    @property
    def asks_first(self) -> bool:
        """Whether a person is there to be asked."""
        return not self.yes and sys.stdin.isatty()

    def decision(self, what: What, subject: str) -> Decision:
        """As it is recorded."""
        return Decision(
            who=self.who,
            why=self.why,
            what=str(what),
            subject=subject,
            request_id=self.request_id,
        )


def asked(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command those options, as its first argument."""

    @click.option("--why", required=True, help="the reason; it is recorded")
    @click.option("--who", default=user, help="who decides; else the user of this system")
    @click.option("--request-id", type=click.UUID, default=uuid4, help="the same one acts once")
    @click.option("--json", "as_json", is_flag=True, help="one JSON object instead of a table")
    @click.option("--yes", is_flag=True, help="ask nothing")
    @functools.wraps(command)
    def run(
        *args: Any,
        why: str,
        who: str,
        request_id: UUID,
        as_json: bool,
        yes: bool,
        **options: Any,
    ) -> Any:
        if not why.strip():
            raise click.UsageError("--why needs a reason that somebody else understands later")
        said = Said(why=why, who=who, request_id=request_id, as_json=as_json, yes=yes)
        return command(said, *args, **options)

    return run


thing = click.argument("thing", required=False)


def as_option(kinds: Sequence[Kind]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say which of these kinds THING is."""
    return click.option(
        "--as",
        "kind",
        type=click.Choice([str(kind) for kind in kinds]),
        help="what THING is, where its id could be several",
    )


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Name everything that has something in common, in THING's place."""
    for name in ("tier", "workload", "model", "account", "provider"):
        command = click.option(f"--{name}", help=f"everything of this {name}")(command)
    return command


def past(text: str) -> datetime:
    """A moment in ISO form (UTC where it names no zone), or a span that leads back from now."""
    return moments.earlier(text, now=datetime.now(UTC))


def due_at(text: str) -> datetime | None:
    """A moment, a span that leads on from now, or None for `never`."""
    return moments.due(text, now=datetime.now(UTC))


def user() -> str:
    """Who types, as the system knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"


def subject(
    thing: str | None,
    kind: str | None,
    wanted: Mapping[str, str | None],
    *,
    since: datetime | None = None,
    kinds: Sequence[Kind] = OF_JOBS,
) -> Subject:
    """What a command is about. Ends the command where nothing here goes by that name."""
    if thing is None:
        return parsed(lambda said: filtered(said, since=since), wanted)
    if any(wanted.values()):
        raise click.UsageError("name one thing, or filters, but not both")
    with engine().connect() as connection:
        as_kind = Kind(kind) if kind is not None else None
        found = changing.resolve(connection, thing, kind=as_kind, kinds=kinds)
    if found is None:
        *others, last = kinds
        called = kind or f"{', '.join(others)} or {last}"
        _end(f"nothing here is known as {called} {thing!r}")
    return found


def batch_id(found: Subject) -> UUID:
    """The id of a batch's submission."""
    return UUID(found.id)


def parsed(read: Callable[[Any], Found], said: object) -> Found:
    """What an option says. Ends the command with its own words where it cannot be read."""
    try:
        return read(said)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def require_possible(wish: Wish) -> None:
    """End the command where a wish can be granted to no job at all."""
    parsed(lambda one: policy.require_possible(one, now=datetime.now(UTC)), wish)


def confirm(said: Said, what: What, plan: str, not_undone: str, *, must: bool = False) -> None:
    """Ask a person, where there is one; without one, what `must` be confirmed needs `--yes`."""
    if said.yes:
        return
    if not said.asks_first:
        if must:
            _end(f"{plan}; say --yes to {what} that many without being asked")
        return
    click.echo(f"{plan}\n{not_undone}", err=True)
    click.confirm("Do it?", abort=True, err=True)


def report(
    said: Said, do: Callable[[], Outcome], *, not_undone: str | None = None, of: str = "jobs"
) -> None:
    """Do it and say what came of it; exits 1 where nothing was to be done."""
    outcome = ended(do)
    changed = Changed.model_validate(outcome)
    if said.as_json:
        told = {"request_id": str(said.request_id), "touched": changed.touched, **outcome}
        click.echo(json.dumps(told, indent=2))
    else:
        _tell(said, changed, not_undone, of)
    if not changed.touched and not changed.batches_to_end:
        sys.exit(_NOTHING)


def ended(do: Callable[[], Outcome]) -> Outcome:
    """What came of it. Ends the command where it could not be done, with why."""
    try:
        return do()
    except (UnderWayError, AnotherDecisionError, ValueError) as refusal:
        _end(str(refusal))


def _tell(said: Said, changed: Changed, not_undone: str | None, of: str) -> None:
    table = Table(of, "what", title=f"{changed.touched} touched, request {said.request_id}")
    for deed, count in sorted(changed.did.items()):
        table.add_row(str(count), deed.replace("_", " "))
    for why, count in sorted(changed.left.items()):
        table.add_row(str(count), f"left: {why}")
    console = Console()
    console.print(table)
    if changed.batches_to_end:
        console.print(f"{changed.batches_to_end} provider batches are asked to end")
    if changed.repeated:
        console.print("It was done before; nothing was done now.")
    if not_undone is not None and changed.touched:
        console.print(not_undone)


def _end(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(_IMPOSSIBLE)
