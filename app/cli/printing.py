"""How commands answer: tables for people, one JSON value for programs."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.policy.findings import Severity, spoken
from app.policy.plain import plain
from app.standing.archive import LedgerAwayError

Command = TypeVar("Command", bound=Callable[..., Any])

#: Where nobody looks at a terminal, lines are not broken within a sentence.
_WIDTH: Final = 160
_STYLES: Final = {Severity.INFO: "blue", Severity.ATTENTION: "yellow", Severity.STUCK: "bold red"}

#: `--json` of every command.
as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON value instead of tables."
)


def limit_option(maximum: int, default: int = 50) -> Callable[[Command], Command]:
    """`--limit` of a list, with its bound."""
    return click.option(
        "--limit",
        type=click.IntRange(1, maximum),
        default=default,
        show_default=True,
        help=f"Rows at most, up to {maximum:,}.",
    )


def console() -> Console:
    """Standard output; of a usual width where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)


def write_json(value: Any) -> None:
    """One JSON value: times as ISO text, spans in seconds."""
    click.echo(json.dumps(plain(value), indent=2))


class _Away(click.ClickException):
    exit_code = Severity.STUCK.rank


@contextmanager
def ledger_read() -> Iterator[None]:
    """A ledger that is away ends the command with a sentence, and with the exit code of `stuck`."""
    try:
        yield
    except LedgerAwayError as away:
        raise _Away(str(away)) from away


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table; what it holds is shown as it is, whatever markup it looks like."""
    built = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for name in columns:
        built.add_column(name, overflow="fold")
    for row in rows:
        built.add_row(*(one if isinstance(one, Text) else Text(cell(one)) for one in row))
    return built


def cell(value: Any) -> str:
    """A value for people; a time without its fractions, in UTC."""
    match value:
        case None:
            return "-"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        case timedelta():
            return spoken(value)
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def marked(severity: Severity, word: str | None = None) -> Text:
    """A severity in its colour."""
    return Text(word or str(severity), style=_STYLES[severity])


def ago(moment: datetime | None, now: datetime) -> str:
    """How long since, for people."""
    return "-" if moment is None else spoken(now - moment)
