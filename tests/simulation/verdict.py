"""What must be true when a schedule has come to rest: by the callers, the books and the mails, then the ledger."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Engine, text

from tests.simulation.callers import Callers
from tests.simulation.workspace import Billed, Workspace, answer_to
from tests.simulation.world import World

_UNFINISHED: Final = {
    "jobs": "SELECT id, state FROM job WHERE settled_at IS NULL",
    "tickets": "SELECT id, state, attempts, last_error FROM ticket WHERE state <> 'completed'",
    "submissions": """
        SELECT id, state, last_error FROM submission
        WHERE state IN ('planned', 'uploaded', 'sending', 'unknown', 'accepted')
    """,
    "strays": "SELECT provider_batch_id FROM stray WHERE ours AND closed_at IS NULL",
    "notifications": "SELECT id, state FROM notification WHERE state IN ('new', 'sending')",
    "chords": "SELECT group_id FROM chord WHERE over_at IS NULL",
}


def unfinished(engine: Engine) -> dict[str, Any]:
    """What the ledger still has to do."""
    with engine.begin() as connection:
        found = {
            name: [tuple(map(str, row)) for row in connection.execute(text(statement))]
            for name, statement in _UNFINISHED.items()
        }
    return {name: rows for name, rows in found.items() if rows}


def look(
    world: World, engine: Engine, callers: Callers, workspaces: Mapping[str, Workspace]
) -> None:
    """Hold every promise against what happened."""
    billed = [one for space in workspaces.values() for one in space.billed(world.now_s)]
    _delivered(world, callers, billed)
    _canvas(world, callers)
    _mails(world, engine, callers)
    _money(world, engine, billed)
    for space in workspaces.values():
        for batch_id in space.foreign_touched:
            world.violate(f"{batch_id} is somebody else's and was cancelled")


def _delivered(world: World, callers: Callers, billed: list[Billed]) -> None:
    """Every call has its own answer or an error, and nothing was bought twice."""
    bought = Counter(one.prompt for one in billed)
    for call in callers.calls.values():
        status, result = callers.end(call)
        output = result.get("output") if status == "SUCCESS" else None
        world.counts["answered" if output is not None else "failed"] += 1
        if output is not None and (output != answer_to(call.prompt) or not bought[call.prompt]):
            world.violate(f"{call.task_id} got {result!r}, billed {bought[call.prompt]} times")
        # What a create that lands too late answers may come after the job's own end.
        if output is None and bought[call.prompt] and not _may_be_late(world, call.prompt):
            world.violate(f"{call.task_id} was paid for and got {result!r}")
    for prompt, times in bought.items():
        if times > 1:
            world.counts["bought_twice"] += 1
            if not _may_be_late(world, prompt):
                world.violate(f"{prompt!r} was bought {times} times")


def _may_be_late(world: World, prompt: str) -> bool:
    """OpenAI's creates find their file gone; Anthropic's land whenever they do, in a weak world."""
    return world.chance.mix.weak and "anthropic" in prompt


def _canvas(world: World, callers: Callers) -> None:
    """Bodies, errbacks and callbacks ran once; twice is noticed when it happens, and where it may."""
    for group in callers.chords.keys() - callers.torn:
        failed = callers.has_failed(group)
        world.counts["chords_failed"] += failed
        for task_id, wanted in ((f"body-{group}", not failed), (f"errback-{group}", failed)):
            if not callers.is_right(task_id, int(wanted)):
                ran = callers.ran[task_id]
                world.violate(f"{task_id} ran {ran} times, a part failed: {failed}")
    for call in callers.calls.values():
        status, _ = callers.end(call)
        wanted = call.callback is not None and (call.follows_success or status == "FAILURE")
        if call.callback is not None and not callers.is_right(call.callback, int(wanted)):
            world.violate(f"{call.callback} ran {callers.ran[call.callback]} times, {status}")


def _mails(world: World, engine: Engine, callers: Callers) -> None:
    """Everybody got a mail, or the ledger says that it does not know, or that it gave up."""
    with engine.begin() as connection:
        states = Counter(connection.execute(text("SELECT state FROM notification")).scalars().all())
    world.counts["mails_unknown"] += states["unknown"]
    wanted = sum(call.mail is not None for call in callers.calls.values())
    got = len(callers.mails)
    if not wanted - states["unknown"] - states["dead"] <= got <= wanted:
        world.violate(f"{wanted} mails were wanted, {got} came, the ledger has {dict(states)}")


def _money(world: World, engine: Engine, billed: list[Billed]) -> None:
    """The ledger has booked exactly what the providers did, line by line."""
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT source, line, nano_usd FROM charge")).all()
    ours = Counter({(row.source, row.line): row.nano_usd for row in rows})
    theirs = Counter({(f"batch:{one.batch_id}", one.custom_id): one.nano_usd for one in billed})
    if ours != theirs:
        extra, absent = dict(ours - theirs), dict(theirs - ours)
        world.violate(f"the books differ: only ours {extra}, only theirs {absent}")
    world.counts["strays"] += _count(engine, "SELECT count(*) FROM stray WHERE ours")


def _count(engine: Engine, statement: str) -> int:
    with engine.begin() as connection:
        found: int = connection.execute(text(statement)).scalar_one()
    return found
