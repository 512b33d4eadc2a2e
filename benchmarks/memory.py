"""`make memory`: peak memory of packer and collector over the largest packs, real processes.

50,000 requests of 1 kB for each provider are published, packed, submitted and collected against the
simulator. PSS is sampled from outside. Exits 1 where a peak is over its bound.
"""

import argparse
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from celery import Celery
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text

from app.ledger import engine as ledger
from dev.stack import Stack, procfile
from unhurried.contract import QUEUES, TASK_NAMES, Endpoint, Tier

_BOUND_BYTES: Final = 300 * 1024 * 1024
_SAMPLE_S: Final = 0.1
_WITHIN_S: Final = 900.0
_PUBLISH_BATCH: Final = 500
_ENDPOINTS: Final = (Endpoint.MESSAGES, Endpoint.RESPONSES)
_WATCHED: Final = ("packer", "collector")
#: Beat follows once everything is admitted, so that each provider gets one pack of all.
_PROCESSES: Final = ("intake", "packer", "collector", "completer")

_SETTINGS: Final = {
    "UNHURRIED_LINGER_S": "0",
    "UNHURRIED_PACK_EVERY_S": "2",
    "UNHURRIED_COLLECT_EVERY_S": "2",
    "UNHURRIED_POLL_MIN_S": "2",
    "UNHURRIED_COMPLETE_EVERY_S": "3600",
}


class Peaks(threading.Thread):
    """Samples memory until told to stop."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self.bytes: dict[str, int] = dict.fromkeys(_WATCHED, 0)
        self._stack = stack
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Sample."""
        while not self._stop_asked.wait(_SAMPLE_S):
            for name in _WATCHED:
                now = self._stack.process(name).pss_bytes()
                self.bytes[name] = max(self.bytes[name], now)

    def stop(self) -> None:
        """End."""
        self._stop_asked.set()
        self.join()


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    console = Console()
    with TemporaryDirectory(prefix="unhurried-memory-") as directory:
        stack = Stack(
            directory=Path(directory),
            processes=_PROCESSES,
            environment=_SETTINGS,
            simulator_options=["--speed", "600"],
            mail=False,
        )
        with stack:
            found = _measure(stack, arguments.requests, arguments.bytes, console)
    if arguments.json:
        console.print_json(json.dumps(found))
    else:
        _print(found, console)
    over = [name for name in _WATCHED if found["peak_pss_bytes"][name] > _BOUND_BYTES]
    raise SystemExit(1 if over else 0)


def _measure(stack: Stack, requests: int, size: int, console: Console) -> dict[str, Any]:
    idle = {name: stack.process(name).pss_bytes() for name in _WATCHED}
    peaks = Peaks(stack)
    peaks.start()
    started = time.monotonic()
    app = Celery("benchmark", broker=stack.variables["UNHURRIED_REDIS_URL"])
    for endpoint in _ENDPOINTS:
        _publish(app, endpoint, requests, size)
        console.print(f"{requests} published to {endpoint} ({time.monotonic() - started:.0f} s)")
    engine = ledger.connect(stack.variables["UNHURRIED_DATABASE_URL"])
    _await_count(stack, engine, "true", requests * len(_ENDPOINTS))
    console.print(f"admitted ({time.monotonic() - started:.0f} s)")
    stack.launch("beat", procfile()["beat"])
    settled = _await_settled(stack, engine, requests * len(_ENDPOINTS), console)
    peaks.stop()
    batches = _batches(engine)
    engine.dispose()
    return {
        "requests": requests * len(_ENDPOINTS),
        "request_bytes": size,
        "settled": settled,
        "batches": batches,
        "idle_pss_bytes": idle,
        "peak_pss_bytes": peaks.bytes,
        "bound_bytes": _BOUND_BYTES,
        "seconds": round(time.monotonic() - started, 1),
    }


def _publish(app: Celery, endpoint: Endpoint, count: int, size: int) -> None:
    with app.producer_or_acquire() as producer, producer.batch(_PUBLISH_BATCH):
        for kwargs in _calls(endpoint, count, size):
            app.send_task(
                TASK_NAMES[endpoint],
                kwargs=kwargs,
                queue=QUEUES[Tier.BATCH],
                producer=producer,
                ignore_result=True,
                argsrepr="<benchmark>",
                kwargsrepr="{}",
            )


def _calls(endpoint: Endpoint, count: int, size: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        prompt = f"Number {number}. " + "word " * (size // 5)
        request: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 50}
        request["messages"] = [{"role": "user", "content": prompt}]
        if endpoint is Endpoint.RESPONSES:
            request = {"model": "gpt-5-mini", "max_output_tokens": 50, "input": prompt}
        yield {"request": request, "options": {"tier": "batch"}}


def _await_settled(stack: Stack, engine: Engine, count: int, console: Console) -> int:
    settled = 0
    for goal in range(10_000, count + 10_000, 10_000):
        settled = _await_count(stack, engine, "settled_at IS NOT NULL", min(goal, count))
        console.print(f"{settled} of {count} settled")
        if settled < min(goal, count):
            break
    return settled


def _await_count(stack: Stack, engine: Engine, where: str, count: int) -> int:
    """How many jobs there are of the kind, once there are `count`, or when time is over."""
    until = time.monotonic() + _WITHIN_S
    while True:
        for name in _WATCHED:
            stack.process(name).require_alive()
        with engine.connect() as connection:
            query = text(f"SELECT count(*) FROM job WHERE {where}")  # noqa: S608 - our own words
            found: int = connection.execute(query).scalar_one()
        if found >= count or time.monotonic() > until:
            return found
        time.sleep(0.5)


def _batches(engine: Engine) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT provider, jobs_count, bytes_count FROM pack ORDER BY provider")
        )
        return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's documented name


def _print(found: dict[str, Any], console: Console) -> None:
    table = Table(title=f"{found['requests']} requests of {found['request_bytes']} bytes")
    for column in ("process", "idle MB", "peak MB", "bound MB"):
        table.add_column(column, justify="right")
    for name in _WATCHED:
        figures = (found["idle_pss_bytes"][name], found["peak_pss_bytes"][name], _BOUND_BYTES)
        table.add_row(name, *(f"{figure / 2**20:.0f}" for figure in figures))
    console.print(table)
    for batch in found["batches"]:
        console.print(
            f"{batch['provider']}: {batch['jobs_count']} jobs, {batch['bytes_count']} bytes"
        )
    console.print(f"{found['settled']} settled in {found['seconds']} s")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000, help="for each provider")
    parser.add_argument("--bytes", type=int, default=1024, help="of each prompt")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
