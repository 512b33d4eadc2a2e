"""`python -m benchmarks.writing`: what writing costs for the sake of reading, as ratios to a ledger without it.

The same jobs are admitted, packed, settled and told of in ledgers that differ in this alone: with all indexes
and tallies, and with some of them dropped. Counted are the processor time of the server's own process and the
bytes of its log: what else the machine does moves neither.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import UUID

import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, text

from app.ledger import admission, migrate, packs, settling, tickets
from app.ledger import engine as ledger
from app.ledger.arrivals import Admission
from app.policy.awaiting import Follower
from app.policy.judging import Charge
from app.policy.lifecycle import Succeed
from dev.servers import create_database, start_postgres
from tests.support.factories import a_pack, an_admission, an_answer

_ROUNDS: Final = 3
#: Messages and lines of one transaction, as the workers have them.
_PORTION: Final = 500
_PROMPT: Final = "Say what this paragraph says in one sentence. " * 20

#: Indexes that no worker needs for its work: pages, `status`, metrics and people who search do.
WATCHING: Final = (
    *("ix_ticket_unread", "ix_ticket_follower", "ix_notification_job", "ix_notification_lost"),
    *("ix_quarantine_at", "ix_submission_accepted", "ix_submission_collected", "ix_job_due"),
    *("ix_job_result", "ix_job_settled", "ix_job_request", "ix_attempt_near_real_time"),
)
_TALLIES: Final = "tally_%"


@dataclass(frozen=True, slots=True)
class Spent:
    """What the server spent on something."""

    cpu_s: float
    log_bytes: float

    def beside(self, floor: "Spent") -> tuple[float, float]:
        """As ratios to another."""
        return self.cpu_s / floor.cpu_s, self.log_bytes / floor.log_bytes


Phases = Mapping[str, Spent]


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    every = {
        "with everything": (),
        "without the tallies": (_TALLIES,),
        "without indexes for watching": WATCHING,
        "without both (the floor)": (*WATCHING, _TALLIES),
        **{f"without {name}": (name,) for name in arguments.without},
    }
    found: dict[str, list[Phases]] = {name: [] for name in every}
    with (
        TemporaryDirectory(prefix="unhurried-writing-") as directory,
        start_postgres(Path(directory), durable=True) as server,
    ):
        arrived = [_call(number) for number in range(arguments.count)]
        migrate.upgrade(create_database(server.url, "whole"))
        urls = {
            name: create_database(server.url, f"ledger_{place}", template="whole")
            for place, name in enumerate(every)
        }
        for _ in range(_ROUNDS):
            for name, dropped in every.items():
                found[name].append(_round(urls[name], dropped, arrived))
    _print({name: _middle(rounds) for name, rounds in found.items()}, arguments.count)
    return 0


def _round(url: str, dropped: Sequence[str], arrived: Sequence[Admission]) -> Phases:
    """Everything once, in an empty ledger."""
    engine = ledger.connect(url)
    with engine.begin() as connection:
        for name in dropped:
            _drop(connection, name)
        connection.execute(text("TRUNCATE job, ticket, pack, event, charge, tally CASCADE"))
    with engine.connect() as connection:
        work = _Work(engine=engine, at=ledger.now(connection), arrived=arrived)
        connection.rollback()
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("CHECKPOINT"))
    spent = {
        "admit": _spent(engine, work.admit),
        "pack": _spent(engine, work.pack),
        "settle": _spent(engine, work.settle),
        "tell": _spent(engine, work.tell),
    }
    engine.dispose()
    return spent


def _drop(connection: Connection, name: str) -> None:
    if name != _TALLIES:
        connection.execute(text(f'DROP INDEX IF EXISTS "{name}"'))
        return
    triggers = connection.execute(
        text("SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE :like"),
        {"like": _TALLIES},
    ).all()
    for trigger, table in triggers:
        connection.execute(text(f'DROP TRIGGER "{trigger}" ON {table}'))


def _call(number: int) -> Admission:
    """A call with a key, a subject, a due time, and a task that follows it: it is in every index."""
    made = an_admission(
        f"00000000-0000-4000-8000-{number:012d}",
        prompt=f"Number {number}. {_PROMPT}",
        key=f"notes:{number}:2026Q3",
        workload="quarter-notes",
        subject=f"user:{number % 5000}",
        deadline="8h",
    )
    follower = Follower(task="notes.tasks.keep", task_id=f"follower-{number}")
    return replace(made, message=replace(made.message, follower=follower, tells_pick_ups=True))


@dataclass(slots=True)
class _Work:
    """The way of these jobs through the ledger, as the workers' own functions write it."""

    engine: Engine
    at: datetime
    arrived: Sequence[Admission]

    def admit(self) -> None:
        """As the pump does."""
        for start in range(0, len(self.arrived), _PORTION):
            with self.engine.begin() as connection:
                admission.admit(connection, self.arrived[start : start + _PORTION], at=self.at)

    def pack(self) -> None:
        """As the packer does."""
        with self.engine.connect() as connection:
            waiting = packs.candidates(connection, at=self.at, limit=len(self.arrived), closed=[])
        for plan in a_pack(waiting, now=self.at):
            with self.engine.begin() as connection:
                packs.make(connection, plan, at=self.at)

    def settle(self) -> None:
        """As the collector does."""
        with self.engine.connect() as connection:
            pack_ids = connection.execute(text("SELECT id FROM pack")).scalars().all()
        for pack_id in pack_ids:
            with self.engine.connect() as connection:
                job_ids = sorted(settling.open_jobs(connection, pack_id))
            for start in range(0, len(job_ids), _PORTION):
                self._settle(pack_id, job_ids[start : start + _PORTION])

    def _settle(self, pack_id: UUID, job_ids: Sequence[UUID]) -> None:
        with self.engine.begin() as connection:
            stand = settling.standings(connection, pack_id, job_ids)
            settling.settle(
                connection,
                pack_id,
                [_answered(job_id, stand[job_id].attempt) for job_id in job_ids],
                [_charge(pack_id, job_id) for job_id in job_ids],
                at=self.at,
            )

    def tell(self) -> None:
        """As the completer does, and as readers do when they have read."""
        while True:
            with self.engine.begin() as connection:
                ready = tickets.claim(
                    connection, at=self.at, lease=timedelta(minutes=1), limit=_PORTION
                )
            if not ready:
                return
            with self.engine.begin() as connection:
                done = [(one.id, one.generation) for one in ready]
                tickets.completed(connection, done, at=self.at)


def _answered(job_id: UUID, attempt: int) -> Succeed:
    return Succeed(
        job_id=job_id,
        attempt=attempt,
        answer=an_answer(_PROMPT),
        cost_nano_usd=7,
        sync_cost_nano_usd=14,
    )


def _charge(pack_id: UUID, job_id: UUID) -> Charge:
    answer = an_answer()
    return Charge(
        source=f"batch:{pack_id}",
        line=str(job_id),
        provider="anthropic",
        account="default",
        job_id=job_id,
        model=answer.model or "",
        batch=True,
        usage=answer.usage,
        nano_usd=7,
    )


def _spent(engine: Engine, work: Callable[[], None]) -> Spent:
    """What the one connection of this engine's pool spends on `work`: it goes from hand to hand."""
    with engine.connect() as connection:
        pid, began = _position(connection)
    server = psutil.Process(pid)
    before = server.cpu_times()
    work()
    after = server.cpu_times()
    with engine.connect() as connection:
        same, ended = _position(connection)
    assert same == pid, "another connection did the work"
    used = after.user + after.system - before.user - before.system
    return Spent(cpu_s=used, log_bytes=ended - began)


def _position(connection: Connection) -> tuple[int, float]:
    row = connection.execute(
        text("SELECT pg_backend_pid(), (pg_current_wal_insert_lsn() - '0/0')::float8")
    ).one()
    return row[0], row[1]


def _middle(rounds: Sequence[Phases]) -> Phases:
    return {
        phase: Spent(
            cpu_s=statistics.median(one[phase].cpu_s for one in rounds),
            log_bytes=statistics.median(one[phase].log_bytes for one in rounds),
        )
        for phase in rounds[0]
    }


def _whole(phases: Phases) -> Phases:
    return {
        **phases,
        "all": Spent(
            cpu_s=sum(one.cpu_s for one in phases.values()),
            log_bytes=sum(one.log_bytes for one in phases.values()),
        ),
    }


def _print(found: Mapping[str, Phases], count: int) -> None:
    floor = _whole(found["without both (the floor)"])
    table = Table(
        title=f"{count:,} jobs, to the floor: processor | log; the middle of {_ROUNDS} rounds",
        title_justify="left",
    )
    table.add_column("ledger", no_wrap=True)
    for phase in floor:
        table.add_column(phase, justify="right")
    for name, phases in found.items():
        ratios = [spent.beside(floor[phase]) for phase, spent in _whole(phases).items()]
        table.add_row(name, *(f"{cpu:.2f} | {log:.2f}" for cpu, log in ratios))
    Console().print(table)
    per_job = {phase: spent.cpu_s * 1e6 / count for phase, spent in floor.items()}
    said = ", ".join(f"{phase} {us:.0f}" for phase, us in per_job.items())
    Console().print(f"The floor here, microseconds of the server a job: {said}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writing", description=__doc__)
    parser.add_argument("--count", type=int, default=5_000, help="jobs of each round")
    parser.add_argument(
        "--without", action="append", default=[], metavar="INDEX", help="a ledger without this one"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
