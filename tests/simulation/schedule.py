"""One schedule: a world by its seed, run until everything has come to rest, and what was wrong with it."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import Engine, text

from app.ledger import schema
from tests.simulation import verdict
from tests.simulation.callers import Callers
from tests.simulation.canvas import Stage
from tests.simulation.chance import Chance, Deed, Mix
from tests.simulation.edges import Edges
from tests.simulation.provider import MODELS, SimulatedProvider
from tests.simulation.redis_memory import RedisMemory
from tests.simulation.service import Service
from tests.simulation.workspace import Workspace
from tests.simulation.world import World

#: Virtual hours in which things go wrong, and events of both parts together.
_STORMY_S: Final = 2.5 * 3600.0
_EVENTS_MAX: Final = 40_000
_FOREIGN_WITHIN_S: Final = 3600.0
_QUIET_EVERY_S: Final = 900.0
_TRACED: Final = ("provider_batch_id", "jobs_count", "lines_count", "reason", "code", "verdict")
#: Tables that a new ledger has rows in; everything else is emptied between two schedules.
_KEPT: Final = frozenset({"origin", "alembic_version"})


@dataclass(kw_only=True)
class Outcome:
    """What a schedule came to."""

    seed: int
    weak: bool
    violations: list[str]
    counts: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    hours: float = 0.0
    trace: list[str] = field(default_factory=list, repr=False)

    @property
    def digest(self) -> str:
        """Two runs of one seed have the same."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


@dataclass(frozen=True)
class Theatre:
    """A ledger of this process's own, in which one schedule after another is played."""

    engine: Engine
    edges: Edges
    spool: Path

    def play(
        self,
        seed: int,
        *,
        weak: bool = False,
        plan: Mapping[tuple[str, int], Deed] | None = None,
        mix: Mix | None = None,
    ) -> Outcome:
        """Play one schedule from an empty ledger on."""
        self.edges.world = None
        _empty(self.engine)
        world = World(Chance(seed, weak=weak, plan=plan, mix=mix))
        with _heard(world):
            play = _Play(world, self.engine, self.spool)
            self.edges.enter(world)
            try:
                play.run()
            finally:
                world.close()
                self.edges.world = None
        return Outcome(
            seed=seed,
            weak=weak,
            violations=world.violations,
            counts=world.counts,
            reached=world.reached,
            killed=world.killed,
            hours=world.now_s / 3600,
            trace=world.trace,
        )


class _Play:
    """Sets the scene, and waits for its end."""

    def __init__(self, world: World, engine: Engine, spool: Path) -> None:
        self._world = world
        self._engine = engine
        self._workspaces = {kind: Workspace(kind, world.chance) for kind in MODELS}
        self._callers = Callers(world)
        self._memory = RedisMemory(world, on_push=self._callers.ran_task)
        self._callers.memory = self._memory
        Stage.memory = self._memory
        self._service = Service(
            world=world,
            engine=engine,
            providers={
                (kind, "default"): SimulatedProvider(world, workspace)
                for kind, workspace in self._workspaces.items()
            },
            spool=spool,
            memory=self._memory,
            callers=self._callers,
        )
        self._looked_at_s = 0.0

    def run(self) -> None:
        """Storm, calm, verdict."""
        world, mix = self._world, self._world.chance.mix
        if world.chance.is_laid_down:
            self._callers.plan_little()
        else:
            self._callers.plan()
        for _ in range(mix.redis_losses):
            self._lose_redis()
        for _ in range(mix.foreign):
            self._make_foreign()
        self._service.start(doubled=mix.doubled)
        world.run(until=self._is_past_the_storm, events_max=_EVENTS_MAX)
        world.chance.calm()
        if not world.run(until=self._is_quiet, events_max=_EVENTS_MAX) and not world.violations:
            world.violate(f"never comes to rest: {self._unfinished()}")
        if not world.violations:
            verdict.look(world, self._engine, self._callers, self._workspaces)

    def _lose_redis(self) -> None:
        world = self._world
        moment_s = world.chance.between(600, _STORMY_S)
        if world.chance.count(0, 1):
            world.at(moment_s - world.chance.between(1, 300), self._memory.keep_copy)
            world.at(moment_s, self._memory.fail_over)
        else:
            world.at(moment_s, self._memory.lose_everything)
        world.at(moment_s, self._callers.lose_queue)
        world.at(moment_s, self._forget_marks)
        world.at(moment_s, lambda: world.counts.update(redis_lost=1))

    def _forget_marks(self) -> None:
        with self._engine.begin() as connection:
            noted = connection.execute(text("SELECT task_id FROM published")).scalars().all()
        self._callers.forget_marks(noted)

    def _make_foreign(self) -> None:
        world = self._world
        workspace = world.chance.pick(list(self._workspaces.values()))
        size = world.chance.count(1, 6)
        world.at(
            world.chance.between(0, _FOREIGN_WITHIN_S),
            lambda: workspace.make_foreign(size, now_s=world.now_s),
        )

    def _is_past_the_storm(self) -> bool:
        return self._world.now_s >= _STORMY_S or self._is_quiet()

    def _is_quiet(self) -> bool:
        """Nothing is unfinished, and every batch has been listed by a sweep since it ended."""
        world = self._world
        if world.now_s < self._looked_at_s + _QUIET_EVERY_S:
            return False
        self._looked_at_s = world.now_s
        return (
            world.is_idle()
            and all(one.is_all_listed for one in self._workspaces.values())
            and not self._unfinished()
        )

    def _unfinished(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        waiting = [call.task_id for call in self._callers.unended()]
        if waiting:
            found["tasks"] = waiting
        bodies = self._callers.unpublished_bodies()
        if bodies:
            found["bodies"] = bodies
        running = [
            batch.id
            for one in self._workspaces.values()
            for batch in one.batches.values()
            if not batch.has_ended(self._world.now_s)
        ]
        return found | ({"batches": running} if running else {}) | verdict.unfinished(self._engine)


def _empty(engine: Engine) -> None:
    names = [table.name for table in schema.metadata.sorted_tables if table.name not in _KEPT]
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(names)} RESTART IDENTITY CASCADE"))


@contextmanager
def _heard(world: World) -> Iterator[None]:
    """Count and trace the service's log events instead of writing them."""

    def hear(_logger: Any, _method: str, fields: Any) -> Any:
        world.counts[fields["event"]] += 1
        process = world.running()
        if process is not None and fields["event"] != "swept":
            process.said += 1
        # Ids that are drawn anew in each run are left out.
        said = [f"{name}={fields[name]}" for name in _TRACED if name in fields]
        world.tell(f"    {fields['event']} {' '.join(said)}")
        raise structlog.DropEvent

    kept = structlog.get_config()
    structlog.configure(processors=[hear], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**kept)
