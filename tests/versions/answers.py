"""`python -m tests.versions.answers DIRECTORY`: record what this version's service answers and sends."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import redis
from celery import Celery

from dev.stack import Stack
from tests.client.apps import calling
from tests.notify.receivers import Inbox, receiving
from tests.road.conftest import HASTE, PROCESSES, SPEED, receivers
from tests.support.waiting import wait_until
from tests.versions import lying
from tests.versions.calls import write
from tests.versions.questions import questions
from tests.versions.reading import read, understood
from tests.versions.shapes import SHAPES
from unhurried import NotReady, messages
from unhurried.binding import bound_app
from unhurried.contract import marker_key
from unhurried.readers import latest_key
from unhurried.run_wire import run_key

_WITHIN_S: Final = 120.0
#: What comes to the callers' own queue: links, errbacks, a last step, a chord's body, what follows a run.
HOME_MESSAGES: Final = 6
WEBHOOKS: Final = 4
#: What a receiver verifies a webhook by.
_OF_A_WEBHOOK: Final = ("content-type", "webhook-")


class _OverALedger(Stack):
    """Leaves a ledger that it is given as it is: one ahead of this version is not this one's to migrate."""

    def _migrate(self) -> None:
        if "UNHURRIED_DATABASE_URL" not in os.environ:
            super()._migrate()


@contextmanager
def served() -> Iterator[tuple[Stack, Inbox, Celery]]:
    """The whole service of this version, and a caller's app."""
    with tempfile.TemporaryDirectory() as scratch, receiving() as inbox:
        Path(scratch).chmod(0o755)
        with _OverALedger(
            directory=Path(scratch),
            processes=PROCESSES,
            environment=HASTE | receivers(inbox),
            simulator_options=SPEED,
        ) as stack:
            for name in ("UNHURRIED_STORAGE", "UNHURRIED_WORKLOADS"):
                os.environ[name] = stack.variables[name]
            with calling(stack.variables["UNHURRIED_REDIS_URL"]) as app:
                yield stack, inbox, app


def record() -> dict[str, Any]:
    """Every shape to its end, what the client of the same version reads, and what lies in Redis then."""
    with served() as (stack, inbox, app):
        server: Any = redis.Redis.from_url(stack.variables["UNHURRIED_REDIS_URL"])
        with server as client, client.pubsub() as heard:
            heard.psubscribe("celery-task-meta-*")
            ends = {name: shape(app) for name, shape in SHAPES.items()}
            _await_ends(client, inbox, _ids(ends))
            asked = _asked(client, ends)
            return {
                "ends": ends,
                "understood": {one: understood(messages.job(one)) for one in _ids(ends)},
                "asked": asked,
                "told": _told(heard),
                "lying": lying.taken(client),
                "webhooks": _webhooks(inbox),
            }


def _ids(ends: dict[str, list[str]]) -> list[str]:
    return [one for ids in ends.values() for one in ids]


def _await_ends(client: Any, inbox: Inbox, ids: list[str]) -> None:
    wait_until(
        lambda: all(messages.job(one).ready() for one in ids), within_s=_WITHIN_S, what="every end"
    )
    wait_until(
        lambda: (client.llen("celery"), len(inbox.got)) == (HOME_MESSAGES, WEBHOOKS),
        within_s=_WITHIN_S,
        what="everything that follows",
    )


def _asked(client: Any, ends: dict[str, list[str]]) -> dict[str, Any]:
    """What the service brings back after Redis lost it, as the client reads it."""
    (plain,), (run,) = ends["plain"], ends["run"]
    client.delete(f"celery-task-meta-{plain}", marker_key(plain), run_key(run))
    client.delete(latest_key(tenant="default", workload="road-notes", subject="user:17"))
    found: dict[str, Any] = {
        "restore": _once_told(lambda: understood(messages.job(plain))),
        "latest": _once_told(
            lambda: read(messages.latest("road-notes", subject="user:17", max_staleness="1h"))
        ),
        "restore_run": progress(run),
    }
    known = questions()
    if "results" in known:
        found["results"] = [
            {**read(one), "cursor": one.cursor} for one in messages.results("road-bulk")
        ]
    if "in_flight" in known:
        found["in_flight"] = known["in_flight"](bound_app())
    return found


def _once_told(look: Callable[[], Any]) -> Any:
    """What is read, once the service does not just tell Redis again what it has noticed to be gone."""

    def found() -> Any:
        with suppress(NotReady):
            return look()
        return None

    return wait_until(found, within_s=_WITHIN_S, what="a result that was brought back")


def progress(run_id: str) -> dict[str, Any]:
    """How far a run is, and what its parts came to."""
    run = messages.run(run_id)
    seen = run.progress
    counts = [str(seen.state), seen.published, seen.total, seen.done, seen.failed]
    return {"counts": counts, "results": [read(one) for one in run.results()]}


def _told(heard: Any) -> list[Any]:
    """Every word about a task as it was said, the first one first."""
    found = []
    while (one := heard.get_message(timeout=0.2)) is not None:
        if one["type"] == "pmessage":
            found.append(json.loads(one["data"]))
    return found


def _webhooks(inbox: Inbox) -> list[dict[str, Any]]:
    return [
        {
            "headers": {
                name: value for name, value in one.headers.items() if name.startswith(_OF_A_WEBHOOK)
            },
            "body": one.body.decode(),
            "at": one.at.isoformat(),
        }
        for one in inbox.got
    ]


def main() -> None:
    """Write `answers.json`."""
    write(Path(sys.argv[1]) / "answers.json", record)


if __name__ == "__main__":
    main()
