"""Which edges a step is killed at, from the exchanges of one that nobody hurt. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from dev.exchanges import Edge, Side
from tests.crash.edges.labels import is_courtesy

#: Says at which edges a step is killed that has these exchanges.
Plan = Callable[[Sequence[str]], list[Edge]]
#: Around what costs money, and the commits before and after it.
_MONEY: Final = (
    "provider POST /v1/files",
    "provider POST /v1/batches",
    "provider POST /v1/messages/batches",
)
_COMMIT: Final = "postgres COMMIT after INSERT INTO event"


def every_edge(exchanges: Sequence[str]) -> list[Edge]:
    """Both sides of every exchange that a server keeps something of, each moment once."""
    return _between(exchanges, [not is_courtesy(said) for said in exchanges])


def lasting_edges(exchanges: Sequence[str]) -> list[Edge]:
    """The same of those exchanges alone whose doing outlives the process: commits, and all but PostgreSQL's."""
    return _between(
        exchanges,
        [
            (not is_courtesy(said) and not said.startswith("postgres")) or "COMMIT" in said
            for said in exchanges
        ],
    )


def _between(exchanges: Sequence[str], counts: Sequence[bool]) -> list[Edge]:
    """The edges of those exchanges that count.

    The moment after one is the moment before the next: no server knows the difference. Held are, in turn, the
    reply of the one and the request of the other; where either is at a provider or a mail server, both are.
    """
    kept = [number for number, it_counts in enumerate(counts, 1) if it_counts]
    found = [Edge(number=kept[0], side=Side.BEFORE)]
    for turn, (number, following) in enumerate(pairwise(kept)):
        after = Edge(number=number, side=Side.AFTER)
        before = Edge(number=following, side=Side.BEFORE)
        outside = not all(
            exchanges[one - 1].startswith(("postgres", "redis")) for one in (number, following)
        )
        found += [after, before] if outside else [(after, before)[turn % 2]]
    return [*found, Edge(number=kept[-1], side=Side.AFTER)]


def are_alike(steps: Sequence[Sequence[str]]) -> bool:
    """Whether several steps have the same exchanges, wherever at its provider each asks."""
    paths = [[re.sub(r"^(provider \w+) .*", r"\1", said) for said in step] for step in steps]
    return all(one == paths[0] for one in paths)


def money_edges(exchanges: Sequence[str]) -> list[Edge]:
    """Both sides of whatever costs money, and of the commits around it."""
    numbers: set[int] = set()
    for number, said in enumerate(exchanges, 1):
        if said in _MONEY:
            numbers |= {number, *_commits_around(exchanges, number)}
    return [Edge(number=number, side=side) for number in sorted(numbers) for side in Side]


def _commits_around(exchanges: Sequence[str], number: int) -> Iterator[int]:
    commits = [one for one, said in enumerate(exchanges, 1) if said == _COMMIT]
    yield from [one for one in commits if one < number][-1:]
    yield from [one for one in commits if one > number][:1]
