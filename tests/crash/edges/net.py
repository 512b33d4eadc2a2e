"""Every run of a scene, in several worlds at once, and what they have shown together."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Final

from dev.exchanges import Edge, Side
from tests.crash.edges.load import Load, publish
from tests.crash.edges.planning import Plan, are_alike
from tests.crash.edges.playing import Played, play
from tests.crash.edges.scenes import SCENES, Scene
from tests.crash.edges.world import Grounds, World

#: More than there are cores: some of them wait for a span to end.
_WORLDS: Final = 4


@dataclass
class Net:
    """Worlds, and what was played in them; each scene once."""

    grounds: Grounds
    #: Every run, by scene.
    played: dict[str, list[Played]] = field(default_factory=dict)
    _worlds: SimpleQueue[World] = field(default_factory=SimpleQueue)
    _loads: dict[tuple[str, str], Load] = field(default_factory=dict)

    @contextmanager
    def spread(self) -> Iterator["Net"]:
        """With worlds to play in."""
        with ExitStack() as stack:
            worlds = [stack.enter_context(World(self.grounds, one + 1)) for one in range(_WORLDS)]
            self._publish(worlds[0])
            for world in worlds:
                self._worlds.put(world)
            yield self

    def full(self, name: str) -> list[Played]:
        """Every run of a scene, in the first place those that nobody was hurt in."""
        if not self.played:
            # Redis knows the service's scripts from then on, which is an exchange less for each.
            for first in (SCENES["intake"], SCENES["near-real-time, raise"]):
                self._unhurt(first)
        if name not in self.played:
            self.played[name] = self.play(SCENES[name], SCENES[name].plan, is_whole=True)
        return self.played[name]

    def play(self, scene: Scene, plan: Plan, *, is_whole: bool = False) -> list[Played]:
        """See how the step goes, and kill it where the plan says.

        Of a whole plan it is seen as well that the step has no more exchanges.
        """
        unhurt = self._unhurt(scene)
        in_turn = scene.in_turn and are_alike([one.exchanges for one in unhurt])
        wanted = []
        for at, one in enumerate(unhurt):
            edges = plan(one.exchanges)
            if in_turn:
                edges = edges[at :: len(unhurt)]
            wanted += [(one.provider, edge) for edge in edges]
        hurt = self._all(scene, wanted)
        if is_whole:
            hurt += self._beyond(scene, unhurt)
        return unhurt + hurt

    def _unhurt(self, scene: Scene) -> list[Played]:
        return self._all(scene, [(provider, None) for provider in scene.providers])

    def _beyond(self, scene: Scene, unhurt: Sequence[Played]) -> list[Played]:
        edges = [
            (one.provider, Edge(number=len(one.exchanges) + 1, side=Side.BEFORE)) for one in unhurt
        ]
        played = self._all(scene, edges)
        for one, whole in zip(played, unhurt, strict=True):
            if one.killed_at:
                more = Counter(one.exchanges) - Counter(whole.exchanges)
                one.wrong.append(
                    f"the step had more exchanges than the one that nobody hurt: {dict(more)}"
                )
            # Not to come to this one is what had to be.
            one.edge = None
        return played

    def _all(self, scene: Scene, wanted: Sequence[tuple[str, Edge | None]]) -> list[Played]:
        with ThreadPoolExecutor(_WORLDS) as pool:
            return list(pool.map(lambda one: self._one(scene, *one), wanted))

    def _publish(self, world: World) -> None:
        """Let a caller publish every load, while no service is in any database of this Redis."""
        world.redis.flushall()
        for scene in SCENES.values():
            for provider in scene.providers:
                if (provider, scene.kind) not in self._loads:
                    self._loads[provider, scene.kind] = publish(
                        world.redis, world.redis_url, provider, scene.kind
                    )

    def _one(self, scene: Scene, provider: str, edge: Edge | None) -> Played:
        world = self._worlds.get()
        try:
            return play(world, scene, self._loads[provider, scene.kind], edge)
        except (AssertionError, OSError) as error:
            wrong = f"it could not be played to its end: {type(error).__name__}: {error}"
            return Played(scene.name, provider, edge, wrong=[wrong])
        finally:
            self._worlds.put(world)


def wrong(played: Sequence[Played]) -> list[str]:
    """Everything that went wrong, each with the run that it went wrong in."""
    return [f"{one.name}: {what}" for one in played for what in one.wrong]


def kills(played: Sequence[Played]) -> int:
    """How many processes were killed."""
    return sum(len(one.killed_at) for one in played)


def missed(played: Sequence[Played]) -> list[str]:
    """Runs whose step was over before it came to the edge, this time."""
    return [one.name for one in played if one.edge is not None and not one.killed_at]


def rare(played: Sequence[Played]) -> Counter[str]:
    """How often each rare path was taken."""
    return sum((one.rare for one in played), Counter())


def summary(played: dict[str, list[Played]]) -> Iterator[str]:
    """Lines for a person: each scene, each rare path, each kind of edge."""
    everything = [one for runs in played.values() for one in runs]
    yield f"{kills(everything)} processes killed in {len(everything)} runs, {len(wrong(everything))} violations"
    yield from (f"  not reached: {name}" for name in missed(everything))
    for name, runs in played.items():
        second = sum(len(one.killed_at) == 2 for one in runs)
        yield f"  {name:<24} {len(runs):>4} runs {kills(runs):>4} kills, {second} of them in a recovery"
    yield "rare paths taken:"
    yield from (f"  {count:>4}  {name}" for name, count in rare(everything).most_common())
    yield "killed at:"
    edges = Counter(at for one in everything for at in one.killed_at)
    for kind in sorted({at.partition(" ")[2] for at in edges}):
        yield f"  {edges[f'before {kind}']:>4} before {edges[f'after {kind}']:>4} after  {kind}"
