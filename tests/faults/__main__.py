"""`make test-faults`: what each fault does to some hundred jobs at each provider, counted from outside.

BREAK=name takes one guard away, in a copy of the sources, and plays the cells that must turn red for it;
BREAK=all does so for one after the other. Exits 1 where a cell is bad, 2 where one could not be played.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from dev.stack import ROOT
from tests.faults import breaking, table
from tests.faults.act import report
from tests.faults.rows import ROWS
from tests.faults.run import DIRECTED, Wanted, directed, play

_JOBS = 200


def main() -> int:
    """Play what is asked for."""
    arguments = _arguments()
    console = Console(width=170)
    if arguments.list:
        for name in (*ROWS, *DIRECTED):
            console.print(name)
        return 0
    broken = os.environ.get("BREAK", "")
    if broken:
        return breaking.run(broken, console, jobs=arguments.jobs)
    return _play(arguments, console)


def _play(arguments: argparse.Namespace, console: Console) -> int:
    rows, desks = _chosen(arguments.only)
    console.print(f"{len(rows)} rows, {arguments.jobs} jobs a cell; sources in {Path.cwd().name}")
    with tempfile.TemporaryDirectory(prefix="faults-") as directory:
        wanted = Wanted(rows, desks, arguments.jobs, Path(directory))
        cells = play(wanted, lambda cell: console.print(table.line(cell), highlight=False))
        if arguments.keep is not None:
            report(arguments.keep, cells)
    played = directed(desks, ROOT)
    table.show(console, cells, played)
    bad = sum(bool(cell.bad) for cell in cells) + sum(desk.code != 0 for desk in played)
    console.print(f"{len(cells) + len(played)} cells, {bad} bad")
    # What was never played has shown nothing, of a broken guard either.
    return 2 if any(desk.code > 1 for desk in played) else int(bad > 0)


def _chosen(only: list[str]) -> tuple[list[str], list[str]]:
    """Rows and directed cells by their names; all where none is named."""
    unknown = [name for name in only if name not in ROWS and name not in DIRECTED]
    if unknown:
        sys.exit(f"no such row: {', '.join(unknown)}; --list shows all")
    rows = [name for name in ROWS if not only or name in only]
    desks = [name for name in DIRECTED if not only or name in only]
    return rows, desks


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="a row; again")
    parser.add_argument("--jobs", type=int, default=_JOBS, help="jobs of a cell")
    parser.add_argument("--keep", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--list", action="store_true", help="say which rows there are")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
