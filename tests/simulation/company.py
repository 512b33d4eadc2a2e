"""Plays many cases in several processes, each with a PostgreSQL of its own, and adds up what they came to."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from queue import Empty
from typing import Any, Final

from tests.simulation.plans import Case
from tests.simulation.theatre import opened

_CASE_S: Final = 120.0


@dataclass(frozen=True, kw_only=True)
class Played:
    """What is left of an outcome when it has crossed to another process."""

    case: Case
    violations: list[str]
    counts: Counter[str]
    reached: Counter[str]
    killed: Counter[str]
    hours: float

    @property
    def fired(self) -> int:
        """How often something was struck."""
        return self.counts["struck"]


@dataclass(kw_only=True)
class Tally:
    """A whole run."""

    schedules: int = 0
    hours: float = 0.0
    violations: list[tuple[str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)

    def add(self, played: Played) -> None:
        """Count one in."""
        self.schedules += 1
        self.hours += played.hours
        self.violations += [(played.case.name, said) for said in played.violations]
        self.counts += played.counts
        self.reached += played.reached
        self.killed += played.killed

    @property
    def never_killed_at(self) -> list[str]:
        """Edges that were reached and at which nobody died."""
        return sorted(self.reached.keys() - self.killed.keys())


@dataclass(frozen=True, slots=True)
class Endless:
    """One seed after another, every `step`th from `first` on, until the world's own clock says so."""

    first: int
    step: int
    until_s: float

    def __iter__(self) -> Iterator[Case]:
        """Cases by their seeds."""
        for seed in count(self.first, self.step):
            if time.time() >= self.until_s:
                return
            yield Case(name=f"strict {seed}", seed=seed)


def play(cases: Sequence[Case], *, processes: int) -> Iterator[Played]:
    """Play all of them, in no order. Raises RuntimeError where a process dies or stands still."""
    return _together([cases[first::processes] for first in range(processes)])


def soak(seed: int, *, hours: float, processes: int) -> Iterator[Played]:
    """Play seed after seed for so long."""
    until_s = time.time() + hours * 3600
    return _together([Endless(seed + first, processes, until_s) for first in range(processes)])


def _together(shares: Sequence[Iterable[Case]]) -> Iterator[Played]:
    context = multiprocessing.get_context("spawn")
    results: Any = context.Queue()
    workers = [
        context.Process(target=_work, args=(share, results), daemon=True) for share in shares
    ]
    for worker in workers:
        worker.start()
    left = len(workers)
    while left:
        found = _next(results, workers)
        if found is None:
            left -= 1
        else:
            yield found
    for worker in workers:
        worker.join(timeout=_CASE_S)


def _next(results: Any, workers: Sequence[Any]) -> Played | None:
    """The next schedule that ended, or None where a worker has played its share."""
    try:
        found: Played | str | None = results.get(timeout=_CASE_S)
    except Empty:
        raise RuntimeError(f"no schedule ended for {_CASE_S:.0f} s") from None
    if isinstance(found, str):
        for worker in workers:
            worker.terminate()
        raise RuntimeError(found)  # noqa: TRY004 - the text of another process's error
    return found


def _work(cases: Iterable[Case], results: Any) -> None:
    put: Callable[[Any], None] = results.put
    try:
        with opened() as theatre:
            for case in cases:
                if not _is_awaited():
                    return
                outcome = case.play(theatre)
                put(
                    Played(
                        case=case,
                        violations=outcome.violations,
                        counts=outcome.counts,
                        reached=outcome.reached,
                        killed=outcome.killed,
                        hours=outcome.hours,
                    )
                )
        put(None)
    except Exception as error:  # noqa: BLE001 - told to whoever waits
        put(f"{type(error).__name__}: {error}")


def _is_awaited() -> bool:
    """Whether whoever started this process still lives: killed, it ends nobody, and its results go nowhere."""
    parent = multiprocessing.parent_process()
    return parent is None or parent.is_alive()
