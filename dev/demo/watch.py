"""The live view: jobs moving through their states, batches at the providers, money so far."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from app.ledger import views

_REFRESH_S: Final = 0.25
#: How often a line is printed where nobody looks at a terminal.
_LINE_EVERY_S: Final = 5.0
_STATES: Final = ("waiting", "in_flight", "succeeded", "failed", "expired", "cancelled")


def watch(
    engine: Engine,
    console: Console,
    done: Callable[[], bool],
    progress: Callable[[], str],
    *,
    within_s: float,
) -> bool:
    """Show how it goes until `done()`; False where `within_s` was over first.

    `progress` says how far the canvas is that a user watches.
    """
    until = time.monotonic() + within_s
    if console.is_terminal:
        with Live(_picture(engine, progress()), console=console, refresh_per_second=4) as live:
            while not done() and time.monotonic() < until:
                time.sleep(_REFRESH_S)
                live.update(_picture(engine, progress()))
        return done()
    next_line, told = 0.0, ""
    while not done() and time.monotonic() < until:
        if progress() != told:
            told = progress()
            console.print(told)
        if time.monotonic() >= next_line:
            console.print(_line(engine))
            next_line = time.monotonic() + _LINE_EVERY_S
        time.sleep(_REFRESH_S)
    console.print(_line(engine))
    return done()


def _picture(engine: Engine, progress: str) -> Group:
    with engine.connect() as connection:
        counts = views.job_counts(connection)
        batches = views.batches(connection, limit=10)
        charged = views.charged_nano_usd(connection)
    jobs = Table(title="Jobs", title_justify="left")
    jobs.add_column("provider / tier")
    for state in _STATES:
        jobs.add_column(state, justify="right")
    rows: dict[str, dict[str, int]] = defaultdict(dict)
    for count in counts:
        rows[f"{count.provider} {count.tier}"][count.state] = count.count
    for name, states in sorted(rows.items()):
        jobs.add_row(name, *(str(states.get(state, "·")) for state in _STATES))
    table = Table(title="Batches", title_justify="left")
    for column in ("provider", "batch", "state", "status", "jobs", "settled"):
        table.add_column(column)
    for batch in batches:
        table.add_row(
            batch.provider,
            batch.provider_batch_id or "-",
            batch.state,
            batch.provider_status or "-",
            str(batch.jobs_count),
            str(batch.settled_count),
        )
    return Group(jobs, table, Text(progress), Text(f"paid so far: ${charged / 1e9:.6f}"))


def _line(engine: Engine) -> str:
    with engine.connect() as connection:
        counts = views.job_counts(connection)
    sums: dict[str, int] = defaultdict(int)
    for count in counts:
        sums[count.state] += count.count
    return "  ".join(f"{state} {sums[state]}" for state in _STATES if sums[state]) or "no job yet"
