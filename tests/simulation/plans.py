"""Schedules laid down one by one: a small scene in which exactly one or two things go wrong."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.simulation.chance import Deed, Mix, Rates
from tests.simulation.schedule import Outcome, Theatre

#: What is wrong at the providers while a process dies: each in a scene of its own.
FAULTS: Final[dict[str, dict[str, float]]] = {
    "nothing": {},
    "create_lost": {"create_lost": 0.7},
    "create_late": {"create_late": 0.7},
    "create_never": {"create_never": 0.7},
    "twins": {"create_lost": 0.4, "create_late": 0.6, "twin": 0.8},
    "create_refused": {"create_refused": 0.6},
    "unreachable": {"unreachable": 0.3},
    "not_found": {"not_found": 0.4},
    "expired": {"expired": 0.7},
    "void": {"void": 0.6},
    "lines": {"transient": 0.2, "rejected": 0.2, "dropped": 0.2, "doubled": 0.3, "stranger": 0.5},
    "truncated": {"truncated": 0.7},
    "mails": {"mail_later": 0.5, "mail_lost": 0.4},
}
_HITS: Final = (1, 2, 3)
_DEEDS: Final = (Deed.KILL, Deed.ZOMBIE, Deed.CUT_BEFORE, Deed.CUT_AFTER)
_SEED: Final = 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """One schedule that can be named: by a seed alone, or by what is laid down for it."""

    name: str
    seed: int = _SEED
    weak: bool = False
    mix: Mix | None = None
    plan: dict[tuple[str, int], Deed] | None = None

    def play(self, theatre: Theatre) -> Outcome:
        """Play it."""
        return theatre.play(self.seed, weak=self.weak, plan=self.plan, mix=self.mix)


def drawn(seeds: Sequence[int], *, weak: bool = False) -> list[Case]:
    """One for each seed."""
    kind = "weak" if weak else "strict"
    return [Case(name=f"{kind} {seed}", seed=seed, weak=weak) for seed in seeds]


def directed(theatre: Theatre, *, pairs: int, faults: Iterable[str] = tuple(FAULTS)) -> list[Case]:
    """Every edge struck in every way, every fault with a death at every edge, and pairs of deaths.

    Edges are those that the scene reaches by itself, so a new one is struck without being named anywhere.
    """
    cases = []
    for fault in faults:
        mix = _mix(fault)
        reached = Case(name=fault, mix=mix, plan={}).play(theatre).reached
        edges = sorted(reached)
        if fault == "nothing":
            cases += list(_alone(edges, reached, mix))
            cases += list(_pairs(edges, mix, pairs))
        else:
            cases += [
                Case(name=f"{fault}, kill {edge}", mix=mix, plan={(edge, 1): Deed.KILL})
                for edge in edges
            ]
    return cases


def still() -> Mix:
    """Nothing goes wrong by itself."""
    return _mix("nothing")


def _mix(fault: str) -> Mix:
    still = dict.fromkeys(Rates.__dataclass_fields__, 0.0)
    return Mix(rates=Rates(**still | FAULTS[fault]))


def _alone(edges: Sequence[str], reached: dict[str, int], mix: Mix) -> Iterator[Case]:
    for edge in edges:
        for hit in _HITS:
            if hit > reached[edge]:
                break
            for deed in _DEEDS:
                yield Case(name=f"{deed} {edge} {hit}", mix=mix, plan={(edge, hit): deed})


def _pairs(edges: Sequence[str], mix: Mix, count: int) -> Iterator[Case]:
    """Two deaths, in order; of all there are, as many as asked for, always the same."""
    random = Random(_SEED)  # noqa: S311 - repeatable, not secret
    every = [(first, second) for first in edges for second in edges]
    for first, second in random.sample(every, min(count, len(every))):
        plan = {(first, 1): Deed.KILL, (second, 2 if first == second else 1): Deed.KILL}
        yield Case(name=f"kill {first}, kill {second}", mix=mix, plan=plan)
