"""`make bench`: throughput of publishing, intake and completion as ratios to a floor or a peer of the same run."""

import argparse
import json
import time
from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import bulk, completion, intake
from benchmarks.ground import Figure, Ground, ground

_BENCHMARKS: Final[dict[str, Callable[..., list[Figure]]]] = {
    "bulk": bulk.measure,
    "intake": intake.measure,
    "completion": completion.measure,
}


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    console = Console()
    figures: list[Figure] = []
    with ground() as where:
        for name in arguments.only or _BENCHMARKS:
            figures += _run(name, where, arguments.count, Console(stderr=True))
    if arguments.json:
        console.print_json(json.dumps([_wire(figure) for figure in figures]))
    else:
        _print(figures, console)


def _run(name: str, where: Ground, count: int, progress: Console) -> list[Figure]:
    started = time.monotonic()
    figures = _BENCHMARKS[name](where, count=count)
    progress.print(f"{name}: {count} messages, {time.monotonic() - started:.0f} s")
    return figures


def _wire(figure: Figure) -> dict[str, str | float]:
    return {
        "name": figure.name,
        "per_s": round(figure.per_s),
        "beside": figure.beside,
        "beside_per_s": round(figure.beside_per_s),
        "ratio": round(figure.ratio, 3),
    }


def _print(figures: list[Figure], console: Console) -> None:
    table = Table(title="The middle of three rounds", title_justify="left")
    table.add_column("ours", no_wrap=True)
    table.add_column("a second", justify="right")
    table.add_column("beside")
    table.add_column("a second", justify="right")
    table.add_column("ratio", justify="right")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.per_s:,.0f}",
            figure.beside,
            f"{figure.beside_per_s:,.0f}",
            f"{figure.ratio:.3f}",
        )
    console.print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--count", type=int, default=1500, help="messages of each benchmark")
    parser.add_argument("--only", action="append", choices=sorted(_BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
