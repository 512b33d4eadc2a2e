"""Play schedules, replay one, or go on for hours."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from typing import Final

from tests.simulation import company, plans
from tests.simulation.company import Played, Tally
from tests.simulation.schedule import Outcome
from tests.simulation.theatre import opened

_PROCESSES: Final = os.cpu_count() or 2
_TOLD_EVERY_S: Final = 10.0
_PAIRS: Final = 2400
_STRICT: Final = 1000
_WEAK: Final = 300
_SCHEDULES_MIN: Final = 6000
#: A run of so many has come across everything that is rare, or it has shown nothing.
_SHOWS_MIN: Final = 1000
#: What a long run must have come across.
RARE: Final = (
    "adopted",
    "declared_absent",
    "absence_noted",
    "fenced",
    "late_creates",
    "disowned",
    "stray_booked",
    "commits_without_reply",
    "redis_told_again",
    "mails_unknown",
    "void",
    "chord_mended",
    "chords_failed",
)


def main() -> int:
    """0 where nothing was violated, 1 otherwise."""
    arguments = _arguments()
    match arguments.what:
        case "replay":
            return _replay(arguments)
        case "directed":
            return _directed(arguments)
        case "full":
            return _full(arguments)
        case "soak":
            played = company.soak(
                arguments.seed, hours=arguments.hours, processes=arguments.processes
            )
            return _tell(played, total=None)
        case _:
            seeds = range(arguments.seed, arguments.seed + arguments.schedules)
            cases = plans.drawn(seeds, weak=arguments.weak)
            return _tell(company.play(cases, processes=arguments.processes), total=len(cases))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--processes", type=int, default=_PROCESSES, help="that play at once")
    what = parser.add_subparsers(dest="what", required=True)
    for name, text in (
        ("run", "play one schedule for each seed"),
        ("soak", "play one seed after another for hours"),
        ("replay", "play one seed and print what happened"),
    ):
        one = what.add_parser(name, help=text)
        one.add_argument("--seed", type=int, default=1, help="the first seed (default 1)")
        one.add_argument("--weak", action="store_true", help="creates may arrive at any time")
        if name == "run":
            one.add_argument("--schedules", type=int, default=200)
        if name == "soak":
            one.add_argument("--hours", type=float, default=8.0)
    what.add_parser("full", help="all that `make test-all` plays: at least 6,000 schedules")
    directed = what.add_parser("directed", help="strike every edge in every way")
    directed.add_argument("--pairs", type=int, default=_PAIRS, help="of deaths, of all there are")
    directed.add_argument("--json", action="store_true", help="one object a case")
    return parser.parse_args()


def _replay(arguments: argparse.Namespace) -> int:
    with opened() as theatre:
        outcome: Outcome = theatre.play(arguments.seed, weak=arguments.weak)
    print("\n".join(outcome.trace))
    print(f"\nseed {outcome.seed}, trace {outcome.digest[:16]}, {outcome.hours:.1f} hours")
    for said in outcome.violations:
        print(f"VIOLATION {said}")
    return 1 if outcome.violations else 0


def _directed(arguments: argparse.Namespace) -> int:
    with opened() as theatre:
        cases = plans.directed(theatre, pairs=arguments.pairs)
    played = company.play(cases, processes=arguments.processes)
    if not arguments.json:
        return _tell(played, total=len(cases), rare=())
    is_bad = False
    for one in played:
        said = {"case": one.case.name, "fired": one.fired, "violations": one.violations}
        print(json.dumps(said), flush=True)
        is_bad |= bool(one.violations)
    return 1 if is_bad else 0


def _full(arguments: argparse.Namespace) -> int:
    with opened() as theatre:
        cases = plans.directed(theatre, pairs=_PAIRS)
    cases += plans.drawn(range(1, _WEAK + 1), weak=True)
    cases += plans.drawn(range(1, max(_STRICT, _SCHEDULES_MIN - len(cases)) + 1))
    return _tell(company.play(cases, processes=arguments.processes), total=len(cases))


def _tell(
    played: Iterable[Played], *, total: int | None, rare: tuple[str, ...] | None = None
) -> int:
    """Say how far it is while it goes on, and what came of it."""
    tally, told_s = Tally(), time.monotonic()
    for one in played:
        tally.add(one)
        for said in one.violations:
            print(f"VIOLATION in {one.case.name}: {said}", flush=True)
        if time.monotonic() - told_s > _TOLD_EVERY_S:
            told_s = time.monotonic()
            of = f" of {total}" if total is not None else ""
            print(f"  {tally.schedules}{of} schedules, {_sum(tally)}", flush=True)
    print(f"{tally.schedules} schedules, {_sum(tally)}")
    print(f"edges {len(tally.reached)}, without a death: {', '.join(tally.never_killed_at) or '-'}")
    for name, number in sorted(tally.counts.items()):
        print(f"  {name:26} {number:9,}")
    absent = [name for name in (RARE if rare is None else rare) if not tally.counts[name]]
    if absent and tally.schedules < _SHOWS_MIN:
        print(f"never seen, as in any short run: {', '.join(absent)}")
        absent = []
    if absent:
        print(f"never seen, so this run shows too little: {', '.join(absent)}")
    return 1 if tally.violations or absent else 0


def _sum(tally: Tally) -> str:
    return (
        f"{tally.hours:,.0f} simulated hours, {sum(tally.killed.values()):,} kills, "
        f"{len(tally.violations)} violations"
    )


if __name__ == "__main__":
    sys.exit(main())
