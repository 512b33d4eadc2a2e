"""`python -m tests.versions.in_flight DIRECTORY`: record a ledger of this version with batches in flight.

Every process is killed where it stands: jobs wait, are packed, sent and not heard of, run, are answered and not
told, and some calls have not been taken in at all.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import redis
from celery import Celery, chord

from dev import servers
from dev.stack import Stack, procfile
from tests.client.apps import calling
from tests.notify.receivers import receiving
from tests.road.conftest import HASTE, receivers
from tests.support.waiting import wait_until
from tests.versions import lying, shapes
from tests.versions.calls import write
from tests.versions.shapes import claude, step
from tests.versions.wiretap import Create, Wiretap, tapped
from unhurried import messages, responses

_WITHIN_S: Final = 60.0
#: Long enough to kill the next process before the reply of the last one counts as lost.
SPANS: Final = {
    "UNHURRIED_CONNECT_TIMEOUT_S": "2",
    "UNHURRIED_CREATE_TIMEOUT_S": "25",
    "UNHURRIED_SEND_TTL_S": "60",
}


@dataclass
class Scene:
    """A service whose processes come and go."""

    stack: Stack
    tap: Wiretap
    app: Celery

    @contextmanager
    def running(self, *names: str) -> Iterator[None]:
        """Let these processes run, then kill them."""
        commands = procfile()
        for name in names:
            self.stack.launch(name, commands[name])
        for name in names:
            self.stack.await_ready(name)
        yield
        for name in names:
            self.stack.process(name).kill()

    def until(self, query: str, count: int) -> None:
        """Wait until the ledger counts so many."""
        wait_until(lambda: self.count(query) >= count, within_s=_WITHIN_S, what=query)

    def count(self, query: str) -> int:
        """One figure out of the ledger."""
        plain = self.stack.variables["UNHURRIED_DATABASE_URL"].replace("+psycopg", "")
        with psycopg.connect(plain) as connection:
            counting = f"SELECT count(*) FROM {query}".encode()  # noqa: S608 - our own words, below
            found: Any = connection.execute(counting).fetchone()
            return int(found[0])


@contextmanager
def scene() -> Iterator[Scene]:
    """Servers and a slow simulator, and no process of the service yet."""
    with tempfile.TemporaryDirectory() as scratch, receiving() as inbox:
        Path(scratch).chmod(0o755)
        environment = HASTE | SPANS | receivers(inbox)
        with (
            Stack(directory=Path(scratch), processes=[], environment=environment) as stack,
            tapped(stack.simulator_url) as tap,
            calling(stack.variables["UNHURRIED_REDIS_URL"]) as app,
        ):
            stack.variables["UNHURRIED_ANTHROPIC_BASE_URL"] = tap.url
            stack.variables["UNHURRIED_OPENAI_BASE_URL"] = f"{tap.url}/v1"
            for name in ("UNHURRIED_STORAGE", "UNHURRIED_WORKLOADS"):
                os.environ[name] = stack.variables[name]
            yield Scene(stack, tap, app)


def play(on: Scene) -> dict[str, list[str]]:
    """Leave something at every place between a call and its end; the ids of what is to end, by that place."""
    ends: dict[str, list[str]] = {}
    with on.running("intake", "beat"):
        ends["running"] = _started(on.app)
        on.until("job", 8)
        with on.running("packer", "collector"):
            on.until("submission WHERE state = 'accepted' AND observed_at IS NOT NULL", 4)
        ends["answered"] = [messages.delay(**claude("soon"), tier="near-real-time").id]
        with on.running("near_real_time"):
            on.until("job WHERE state = 'succeeded'", 1)
        ends["unheard"] = _kept_back(on, Create.UNHEARD, lambda: _one("unheard"))
        ends["lost"] = _kept_back(on, Create.LOST, _at_openai)
        ends["planned"] = [_one("planned")]
        with on.running("packer"):
            on.until("submission WHERE state = 'planned'", 1)
        ends["waiting"] = [*shapes.options(on.app), *shapes.run(on.app)]
        on.until("job WHERE state = 'waiting'", 4)
    ends["published"] = [_one("published"), *shapes.notifications(on.app)]
    return ends


def _started(app: Celery) -> list[str]:
    """What is at the providers: a chord, a callback, notices, each endpoint of OpenAI's."""
    parts = [messages.s(**claude(f"parts {n}"), tier="batch") for n in range(2)]
    body: Any = chord(parts, step(app, "body", "chord")).apply_async()
    link = step(app, "linked", "link")
    linked = messages.apply_async(kwargs={**claude("links"), "tier": "batch"}, link=link)
    ids = [one.id for one in body.parent.results]
    return [*ids, linked.id, *shapes.notices(app), *shapes.endpoints(app), _one("alone")]


def _one(about: str) -> str:
    return messages.delay(**claude(about), tier="batch").id


def _at_openai() -> str:
    return responses.delay(model="gpt-5-mini", input="Tell me about loss.", tier="batch").id


def _kept_back(on: Scene, fate: Create, publish: Callable[[], str]) -> list[str]:
    """Kill the packer while it waits for the reply to a create."""
    on.tap.creates = fate
    before = on.tap.kept_back
    job_id = publish()
    with on.running("packer"):
        wait_until(lambda: on.tap.kept_back > before, within_s=_WITHIN_S, what="a create")
    return [job_id]


def record(directory: Path) -> dict[str, Any]:
    """Play, write the ledger down as `ledger.sql`, and return the rest."""
    with scene() as on:
        ends = play(on)
        url = on.stack.variables["UNHURRIED_DATABASE_URL"].replace("+psycopg", "")
        (directory / "ledger.sql").write_text(dumped(url), "utf-8")
        with redis.Redis.from_url(on.stack.variables["UNHURRIED_REDIS_URL"]) as client:
            return {
                "ends": ends,
                "lying": lying.taken(client),
                "revision": _revision(url),
                "sent": on.tap.sent,
            }


def dumped(url: str) -> str:
    """The rows of a database, as statements."""
    program = servers._postgres_binaries() / "pg_dump"  # beside the server that is embedded
    options = ["--data-only", "--column-inserts", "--no-owner", "--exclude-table=alembic_version"]
    written = subprocess.run(
        [program, *options, url], capture_output=True, check=True, text=True
    ).stdout
    # psql's own words mean nothing to a server.
    return "".join(line for line in written.splitlines(keepends=True) if line[:1] != "\\")


def _revision(url: str) -> str:
    with psycopg.connect(url) as connection:
        found: Any = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(found[0])


def main() -> None:
    """Write `in_flight.json` and `ledger.sql`."""
    directory = Path(sys.argv[1])
    write(directory / "in_flight.json", lambda: record(directory))


if __name__ == "__main__":
    main()
