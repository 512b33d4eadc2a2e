"""The table as people read it."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.faults.cells import Cell
from tests.faults.run import Desk

_COLUMNS: Final = (
    "row",
    "provider",
    "fired",
    "jobs",
    "delivered",
    "failed",
    "lost",
    "bought twice",
    "surplus",
    "chord bodies",
    "mails",
    "books equal",
    "",
)


def line(cell: Cell) -> str:
    """One cell as it ends."""
    verdict = "ok" if not cell.bad else f"BAD: {', '.join(cell.bad)}"
    return f"{cell.row} / {cell.provider}: {verdict}"


def show(console: Console, cells: Sequence[Cell], desks: Sequence[Desk]) -> None:
    """Every cell, and what was played at a desk of its own."""
    table = Table(show_edge=False, pad_edge=False)
    for name in _COLUMNS:
        numeric = name not in ("row", "provider", "books equal", "")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=name == "row")
    for cell in cells:
        table.add_row(*_row(cell), style="" if not cell.bad else "bold red")
    console.print(table)
    for desk in desks:
        style = "red" if desk.code else ""
        console.print(f"directed: {desk.name}: {desk.verdict}", style=style, markup=False)
        for said in desk.said:
            console.print(f"  {said}", style=style, markup=False, highlight=False)


def _row(cell: Cell) -> list[str]:
    return [
        cell.row,
        cell.provider,
        str(cell.fired),
        str(cell.jobs),
        str(cell.delivered),
        str(cell.failed),
        str(cell.lost),
        str(cell.bought_twice),
        str(cell.surplus),
        f"{cell.bodies}/{cell.bodies_expected}",
        f"{cell.mails}/{cell.mails_expected}",
        "yes" if cell.books_equal else "NO",
        ", ".join(cell.bad),
    ]
