"""One run: a step killed at an edge in a world made for it, whoever comes next, and what became of it all."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from dev.exchanges import Edge, Side
from dev.processes import poll_until
from tests.crash.edges.children import Child
from tests.crash.edges.judging import is_at_rest, judge
from tests.crash.edges.labels import label
from tests.crash.edges.load import Load
from tests.crash.edges.scenes import Scene
from tests.crash.edges.world import EVERYTHING, World

WITHIN_S: Final = 120.0
_LOOK_S: Final = 0.005
#: One recovery in ten is killed as well, at one of its first exchanges.
_SECOND_SHARE: Final = 0.1
_SECOND_WITHIN: Final = 200
#: What the service tells when it goes a way that nobody goes whose processes all live.
_TOLD: Final = {
    "intake_recovered": "messages of a dead pump admitted",
    "reply_lost": "a create whose reply was lost",
    "adopted": "an orphan adopted",
    "declared_absent": "a create declared absent",
    "orphan_found": "an orphan found by the sweep",
    "stray_booked": "a stray booked",
    "chord_mended": "a chord finished that its dead had claimed",
    "answers_lost": "a call counted as lost",
    "mail_unknown": "a mail whose reply was lost",
}


@dataclass
class Played:
    """What a run has shown."""

    scene: str
    provider: str
    edge: Edge | None
    #: Labels of the exchanges of the step, the one that was held last.
    exchanges: list[str] = field(default_factory=list)
    #: The edges that a process was killed at.
    killed_at: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    #: Events of all processes, and what was found by comparing them.
    rare: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """The run, so that somebody can play it again."""
        at = f"{self.edge.side} {self.edge.number}" if self.edge is not None else "unhurt"
        return f"{self.scene}/{self.provider}/{at}"


def play(world: World, scene: Scene, load: Load, edge: Edge | None) -> Played:
    """Play it; without an edge nobody is killed."""
    played = Played(scene.name, load.provider, edge)
    world.begin(load)
    scene.prepare(world)
    children = [world.start(scene.steps, edge=edge)]
    _watch(world, children[0], edge, played)
    played.exchanges = [label(one) for one in world.turns.seen]
    second = _second(played)
    if second is not None:
        children.append(_recover(world, load, second, played))
    if second is None or second.struck.is_set():
        children.append(_recover(world, load, None, played))
    played.wrong += judge(world, load, billed=scene.billed, kills=len(played.killed_at))
    played.rare = rare(world, children)
    return played


def _second(played: Played) -> Edge | None:
    """The edge at which the recovery is killed too, in some of the runs; always the same ones."""
    chance = Random(played.name)  # noqa: S311 - repeatable, not secret
    if not played.killed_at or chance.random() >= _SECOND_SHARE:
        return None
    return Edge(number=chance.randint(1, _SECOND_WITHIN), side=chance.choice(list(Side)))


def _recover(world: World, load: Load, edge: Edge | None, played: Played) -> Child:
    """A fresh process takes every worker's steps until nothing is left to be done, and then once more."""
    enough = world.directory / "enough"
    enough.unlink(missing_ok=True)
    child = world.start(EVERYTHING, edge=edge, until=enough)
    over = poll_until(
        lambda: _is_over(child, edge) or is_at_rest(world, load), within_s=WITHIN_S, every_s=_LOOK_S
    )
    if not over:
        played.wrong.append(f"not at rest after {WITHIN_S:g} s: {world.ledger.open()}")
    enough.touch()
    _watch(world, child, edge, played)
    return child


def _watch(world: World, child: Child, edge: Edge | None, played: Played) -> None:
    """Let it end by itself, or kill it where it is held."""
    if not poll_until(lambda: _is_over(child, edge), within_s=WITHIN_S, every_s=_LOOK_S):
        played.wrong.append(f"a process did not end: {child.tail()}")
        child.kill()
    elif edge is not None and edge.struck.is_set():
        child.kill()
        played.killed_at.append(f"{edge.side} {label(world.turns.seen[edge.number - 1])}")
        world.let_claims_end()
    elif child.wait() != 0:
        played.wrong.append(f"a process ended with {child.wait()}: {child.tail()}")


def _is_over(child: Child, edge: Edge | None) -> bool:
    return child.ended or (edge is not None and edge.struck.is_set())


def rare(world: World, children: Sequence[Child]) -> Counter[str]:
    """The paths that are only for those who come after a death, and how often they were taken."""
    events = [child.events() for child in children]
    told = Counter(one["event"] for all_ in events for one in all_)
    found = Counter({name: told[event] for event, name in _TOLD.items()})
    found["a file deleted so that no create can land"] = sum(
        one["event"] == "absence_noted" and one.get("file_deleted") == ""
        for all_ in events
        for one in all_
    )
    settled = {one["submission_id"] for one in events[0] if one["event"] == "settled"}
    again = [one for all_ in events[1:] for one in all_ if one["event"] == "collected"]
    found["results read again that were settled"] = sum(
        one["submission_id"] in settled for one in again
    )
    (taken,) = world.ledger.rows("SELECT count(*) AS again FROM ticket WHERE attempts > 1")
    found["a ticket completed again"] = taken["again"]
    return +found
