"""What became of a run, from outside: the caller's results and queue, the provider's books, mails, and the sums."""

import base64
import json
from collections import Counter, defaultdict
from typing import Any, Final

from tests.crash.edges.load import LINKED, PARTS, Load, prompt
from tests.crash.edges.world import World

#: A queue of messages that no process of the service has taken in yet.
_WAITING: Final = (
    "unhurried.batch",
    "unhurried.near-real-time",
    "unhurried.notify",
    "unhurried:intake",
)
#: Celery removes a chord's count once the body is on its way.
_OPEN_CHORD: Final = "celery-taskset-meta-*.[jst]"
#: What was found, and what had to be.
_Facts = dict[str, tuple[object, object]]


def is_at_rest(world: World, load: Load) -> bool:
    """Whether everything was taken in and nothing is left to be done."""
    if world.redis.exists(*_WAITING) or world.redis.keys(_OPEN_CHORD):
        return False
    tickets, *still_open = world.ledger.open().values()
    return tickets >= len(load.tasks) and not any(still_open) and world.batches_ended()


def judge(world: World, load: Load, *, billed: int, kills: int) -> list[str]:
    """Everything that is not as it must be; `billed` is how often each request was bought on purpose."""
    facts = _batch(world, load, billed) if load.is_batch else _call(world, load, kills)
    facts["states in the ledger"] = _illegal(world), []
    return [f"{what}: {is_}, not {must}" for what, (is_, must) in facts.items() if is_ != must]


def _batch(world: World, load: Load, billed: int) -> _Facts:
    calls, books, numbers = _calls(world), world.ask("/_books"), sorted(load.tasks)
    bought = Counter(line["prompt"] for line in _lines(world))
    mails = len(list(world.mails.glob("*.eml")))
    is_unknown = [{"state": "unknown"}] == world.ledger.rows("SELECT state FROM notification")
    return {
        "results": (_results(world, load), {one: _answer(load, one) for one in numbers}),
        "links": (sorted(calls["caller.landed"]), [[one] for one in LINKED]),
        "bodies": (_bodies(calls), [[_answer(load, one) for one in PARTS]]),
        "calls of no task of the caller's": (
            calls.keys() - {"caller.landed", "caller.body"},
            set(),
        ),
        "how often each request was billed": (sorted(bought.values()), [billed] * len(numbers)),
        "charges": (_charged(world), (books["lines"], books["billed_nano_usd"])),
        "mails": (mails, min(mails, 1) if is_unknown else 1),
    }


def _call(world: World, load: Load, kills: int) -> _Facts:
    """A call that was lost is told as such, or tried again and then paid for as often as it was lost."""
    calls, books = _calls(world), world.ask("/_books")
    ((number, result),) = _results(world, load).items()
    is_lost = load.kind == "raise" and result == "AnswerLost"
    most = 1 if load.kind == "raise" else 1 + kills
    told = "caller.failed" if is_lost else "caller.landed"
    lines, nano_usd = _charged(world)
    return {
        "result": (result, "AnswerLost" if is_lost else _answer(load, number)),
        "calls of the caller's tasks": (
            {name: len(all_) for name, all_ in calls.items()},
            {told: 1},
        ),
        "billed within bounds": (int(not is_lost) <= books["lines"] <= most, True),
        "charges": (lines, int(not is_lost)),
        "charges within the books": (nano_usd <= books["billed_nano_usd"], True),
    }


def _answer(load: Load, number: int) -> str:
    return prompt(load.provider, number)


def _results(world: World, load: Load) -> dict[int, str]:
    """What each task ended with, by number: an answer's text, or an error's name."""
    found = {}
    for number, task_id in load.tasks.items():
        raw: Any = world.redis.get(f"celery-task-meta-{task_id}")
        said = json.loads(raw or "{}")
        result = said.get("result") or {}
        is_there = said.get("status") == "SUCCESS"
        found[number] = str(result.get("output") if is_there else result.get("exc_type"))
    return dict(sorted(found.items()))


def _calls(world: World) -> dict[str, list[Any]]:
    """What was sent to the caller's own queue: of each task the arguments that it was called with."""
    raw: Any = world.redis.lrange("celery", 0, -1)
    found = defaultdict(list)
    for message in map(json.loads, raw):
        args, _, _ = json.loads(base64.b64decode(message["body"]))
        name = message["headers"]["task"]
        found[name].append(args[:1] if name == "caller.body" else args[1:])
    return found


def _bodies(calls: dict[str, list[Any]]) -> list[list[str]]:
    return [[part["output"] for part in parts] for (parts,) in calls["caller.body"]]


def _lines(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.ask("/_books/lines?limit=10000")
    return found


def _charged(world: World) -> tuple[int, int]:
    (found,) = world.ledger.rows(
        "SELECT count(*) AS lines, coalesce(sum(nano_usd), 0)::bigint AS nano_usd FROM charge"
    )
    return found["lines"], found["nano_usd"]


def _illegal(world: World) -> list[str]:
    """Jobs that ended otherwise than their kind may, and what nobody could read."""
    return [str(row) for row in world.ledger.rows("SELECT reason AS quarantined FROM quarantine")]
