"""The worlds in which a worker's step is killed: how each comes about, and which step is taken there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.crash.edges.load import BATCH
from tests.crash.edges.planning import Plan, every_edge, lasting_edges
from tests.crash.edges.world import START_S, World
from tests.crash.scene import PROVIDERS
from tests.support.waiting import wait_until

#: For a create that is to be lost soon.
_HASTY: Final = {"UNHURRIED_CREATE_TIMEOUT_S": "0.3", "UNHURRIED_SEND_TTL_S": "1.6"}


@dataclass(frozen=True, slots=True)
class Scene:
    """A world, and the step that is killed in it."""

    name: str
    steps: Sequence[str]
    prepare: Callable[[World], None]
    kind: str = BATCH
    providers: Sequence[str] = PROVIDERS
    #: How often each request is bought in this world, whoever dies.
    billed: int = 1
    #: Where the worker does the same for both providers, each edge is played at one of them, in turn; where
    #: it turns out not to, every edge at both.
    in_turn: bool = False
    #: In worlds where a worker does again what is killed everywhere in another one: commits, and what is done
    #: outside PostgreSQL.
    plan: Plan = every_edge


def _published(_world: World) -> None:
    pass


def _admitted(world: World) -> None:
    world.run("intake")


def _packed(world: World) -> None:
    world.run("intake", "pack")


def _ended(world: World) -> None:
    _packed(world)
    world.await_batches()


def _collected_at_first(world: World) -> None:
    """No completer has ever looked at this Redis."""
    _ended(world)
    world.run("collect")


def _collected(world: World) -> None:
    """Redis carries the service's mark: it has forgotten nothing."""
    world.run("complete")
    _collected_at_first(world)


def _reply_lost(world: World) -> None:
    """The provider has the batch, and the sender has heard nothing."""
    world.arm("reply_lost")
    _ended(world)


def _never_arrived(world: World) -> None:
    """The provider has no batch, and the sender does not know; by now it cannot come any more."""
    world.arm("error_instead")
    world.run("intake", "pack", spans=_HASTY)
    wait_until(lambda: _is_settled(world), within_s=START_S, what="the settle time")


def _absent(world: World) -> None:
    """As before; it was looked for once, and is due to be looked for once more."""
    _never_arrived(world)
    world.run("pack")
    wait_until(lambda: _is_due(world), within_s=START_S, what="the next look")


def _is_settled(world: World) -> bool:
    (found,) = world.ledger.rows("""
        SELECT bool_and(not_after + interval '0.3 s' < clock_timestamp()) AS yes FROM submission
    """)
    return found["yes"] is True


def _is_due(world: World) -> bool:
    (found,) = world.ledger.rows("""
        SELECT bool_and(absent_noted_at + interval '0.05 s' < clock_timestamp()) AS yes
        FROM submission
    """)
    return found["yes"] is True


def _restored(world: World) -> None:
    """The ledger comes from a backup that is older than a batch at the provider."""
    world.run("intake")
    backup = world.ledger.copy()
    world.run("pack")
    world.ledger.replace(backup)
    world.await_batches()


def _forgotten(world: World) -> None:
    """As before, and the sweep has found the batch."""
    _restored(world)
    world.run("pack")


def _doubled(world: World) -> None:
    """Somebody on the way sent a create twice, and its sender heard of neither batch."""
    _reply_lost(world)
    (batch,) = world.ask("/_books")["batches"]
    again = {
        "input_file_id": batch["input_file_id"],
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        "metadata": batch["metadata"],
    }
    world.ask("/v1/batches", again)
    world.await_batches()


def _surplus(world: World) -> None:
    """As before, and one of the two was adopted."""
    _doubled(world)
    world.run("pack")


_SEARCHES: Final = (
    Scene("search, there", ["pack"], _reply_lost),
    Scene("search, never arrived", ["pack"], _never_arrived, plan=lasting_edges),
    Scene("search, absent", ["pack"], _absent, plan=lasting_edges),
    Scene(
        "search, doubled", ["pack"], _doubled, providers=["openai"], billed=2, plan=lasting_edges
    ),
    Scene("sweep, restored", ["pack"], _restored, plan=lasting_edges),
)
_STRAYS: Final = (
    Scene("strays, wanted", ["collect"], _forgotten, in_turn=True),
    Scene(
        "strays, surplus", ["collect"], _surplus, providers=["openai"], billed=2, plan=lasting_edges
    ),
)
_CALLS: Final = (
    Scene("near-real-time, raise", ["near_real_time"], _admitted, kind="raise", in_turn=True),
    Scene("near-real-time, retry", ["near_real_time"], _admitted, kind="retry", plan=lasting_edges),
)
SCENES: Final = {
    one.name: one
    for one in (
        Scene("intake", ["intake"], _published, in_turn=True),
        Scene("pack", ["pack"], _admitted),
        *_SEARCHES,
        Scene("collect", ["collect"], _ended),
        *_STRAYS,
        Scene("complete", ["complete"], _collected, in_turn=True),
        Scene(
            "complete, at first",
            ["complete"],
            _collected_at_first,
            plan=lasting_edges,
            in_turn=True,
        ),
        Scene("notify", ["notify"], _collected, in_turn=True),
        *_CALLS,
        Scene("upkeep", ["upkeep"], _packed, in_turn=True),
    )
}
