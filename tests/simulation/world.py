"""One thread at a time, in virtual time: what runs when, what dies where, all by one seed.

Processes are threads that hand a baton round. At every edge (a transaction begins or commits, something is
said to a provider, to Redis or to the mail server) one may be held, so that others overtake it, or killed.
"""

import threading
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Final

import redis
from sqlalchemy.exc import DBAPIError

from tests.simulation.chance import LONG, Chance, Deed

_STARTED_AT: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: What an edge costs where nothing happens there.
_EDGE_S: Final = 0.02
_RESTART_S: Final = (1.0, 40.0)
_BATON_S: Final = 60.0
_IDLE_MAX: Final = 3


class Killed(BaseException):
    """SIGKILL: nothing of ours may catch it."""


@dataclass(eq=False)
class Process:
    """A process of the service: `begin` builds it anew, with an empty memory; what it gives is one round."""

    name: str
    begin: Callable[[], Callable[[], None]]
    #: Virtual seconds between two rounds: at least and at most.
    rest_s: tuple[float, float]
    wakes_at: float = 0.0
    lives: int = 0
    #: Log events of this round, and rounds in a row that had none.
    said: int = 0
    idle: int = 0
    is_doomed: bool = False
    is_over: bool = True
    is_killed: bool = False
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class World:
    """Everything there is. `violations` is what should never happen."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.now_s = 0.0
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        #: Edges: how often each was reached, and how often somebody was killed there.
        self.reached: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.trace: list[str] = []
        self._processes: list[Process] = []
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._awaited: set[int] = set()
        self._numbers = 0
        self._back = threading.Semaphore(0)
        self._current = threading.local()

    def moment(self) -> datetime:
        """Virtual time; no two readings are the same."""
        self.now_s += 1e-6
        return _STARTED_AT + timedelta(seconds=self.now_s)

    def monotonic(self) -> float:
        """The clock of a process."""
        return self.now_s

    def at(self, moment_s: float, what: Callable[[], object], *, awaited: bool = True) -> None:
        """Let something happen in the world then, in nobody's process. The end waits for what is `awaited`."""
        self._numbers += 1
        if awaited:
            self._awaited.add(self._numbers)
        heappush(self._agenda, (moment_s, self._numbers, what))

    def add(self, process: Process) -> None:
        """Start a process now."""
        self._processes.append(process)
        self._start(process)

    def running(self) -> Process | None:
        """The process whose thread asks; None for the world's own."""
        return getattr(self._current, "process", None)

    def run(self, *, until: Callable[[], bool], events_max: int) -> bool:
        """Go on until then; False where it does not come."""
        for _ in range(events_max):
            if self.violations or until():
                return not self.violations
            self._next()
        return False

    def edge(self, what: str, *, takes_s: float = 0.0, in_transaction: bool = False) -> Deed:
        """Reach an edge: time passes, others run, and the process may die here (raises Killed).

        Gives back what else was drawn for it, which is the caller's to do.
        """
        process = self.running()
        if process is None:
            return Deed.GO
        if process.is_killed:
            # Whatever a handler still wants to say on the way out.
            raise Killed(process.name)
        self.reached[what] += 1
        deed = self.chance.deed(what, self.reached[what])
        self.tell(f"{process.name} {what} {deed}")
        self.now_s += _EDGE_S
        self.counts["struck"] += deed is not Deed.GO
        if deed is Deed.KILL:
            self.killed[what] += 1
            process.is_killed = True
            raise Killed(what)
        if in_transaction:
            return deed
        if deed in LONG:
            takes_s += self.chance.pause_s(what)
        if takes_s or self.chance.overtakes():
            self.sleep(takes_s)
        return deed

    def sleep(self, span_s: float) -> None:
        """Let others run until then."""
        process = self.running()
        assert process is not None
        process.wakes_at = self.now_s + span_s
        self._back.release()
        process.go.acquire()
        if process.is_doomed:
            process.is_killed = True
            raise Killed(process.name)

    def tell(self, said: str) -> None:
        """Add to the trace, by which two runs of one seed are compared."""
        self.trace.append(f"{self.now_s:.3f} {said}")

    def violate(self, what: str) -> None:
        """Note what should never happen."""
        self.tell(f"VIOLATION {what}")
        self.violations.append(what)

    def is_idle(self) -> bool:
        """Whether nothing is still to happen in the world itself."""
        return not self._awaited

    def close(self) -> None:
        """End every process."""
        for process in self._processes:
            process.is_doomed = True
            if not process.is_over:
                self._hand_to(process)

    def _next(self) -> None:
        alive = [one for one in self._processes if not one.is_over]
        soonest = min(one.wakes_at for one in alive) if alive else float("inf")
        if self._agenda and self._agenda[0][0] <= soonest:
            moment_s, number, what = heappop(self._agenda)
            self.now_s = max(self.now_s, moment_s)
            self._awaited.discard(number)
            what()
            return
        self.now_s = max(self.now_s, soonest)
        self._hand_to(self.chance.pick([one for one in alive if one.wakes_at <= self.now_s]))

    def _hand_to(self, process: Process) -> None:
        process.go.release()
        if not self._back.acquire(timeout=_BATON_S):
            raise RuntimeError(
                f"{process.name} neither ends nor waits: is a lock held across an edge?"
            )

    def _start(self, process: Process) -> None:
        process.lives += 1
        process.is_over = process.is_killed = False
        process.wakes_at = self.now_s
        threading.Thread(target=self._live, args=[process], daemon=True).start()

    def _live(self, process: Process) -> None:
        process.go.acquire()
        self._current.process = process
        try:
            self._rounds(process)
        except Killed:
            if not process.is_doomed:
                self.counts["kills"] += 1
                wait_s = self.chance.between(*_RESTART_S)
                self.at(self.now_s + wait_s, lambda: self._start(process))
        except BaseException:  # noqa: BLE001 - whatever it is, the run is over and says so
            self.violate(f"{process.name} broke: {traceback.format_exc()}")
        process.is_over = True
        self._back.release()

    def _rounds(self, process: Process) -> None:
        if process.is_doomed:
            return
        one_round = process.begin()
        while True:
            try:
                one_round()
            except (DBAPIError, redis.RedisError) as error:
                # A task that fails by an outage: the next wake-up goes on. Anything else is a fault.
                if isinstance(error, DBAPIError) and not error.connection_invalidated:
                    raise
                self.counts["rounds_broken_off"] += 1
            # Who finds nothing to do looks less often: most of a schedule would be such looks.
            process.idle = 0 if process.said else min(process.idle + 1, _IDLE_MAX)
            process.said = 0
            self.sleep(self.chance.between(*process.rest_s) * (1 + process.idle))
