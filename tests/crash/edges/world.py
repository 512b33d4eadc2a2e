"""Servers with nothing in them, and processes of the service that reach each of them through a proxy."""

import json
import os
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import redis

from dev.exchanges import Edge, Turns
from dev.fault_proxy import FaultProxy
from dev.mail_sink import start as start_mail_sink
from dev.servers import free_port
from tests.crash.edges.children import ROOT, Child, Nursery
from tests.crash.edges.ledgers import Ledgers
from tests.crash.edges.load import Load
from tests.simulator.conftest import running
from tests.support.waiting import wait_until

START_S: Final = 120.0
EVERYTHING: Final = "intake pack collect complete notify near_real_time upkeep".split()
#: A batch takes a fraction of a tenth of a second.
SPEED: Final = "20000"
#: Hours in tenths of seconds; a create that was not answered is lost after less than three.
SPANS: Final = {
    "UNHURRIED_LINGER_S": "0",
    # Written by a thread of its own, at moments that no step decides.
    "UNHURRIED_COUNT_REQUESTS": "false",
    "UNHURRIED_CONNECT_TIMEOUT_S": "0.3",
    "UNHURRIED_CREATE_TIMEOUT_S": "0.5",
    "UNHURRIED_SEND_TTL_S": "2.5",
    "UNHURRIED_SEARCH_EVERY_S": "0.05",
    "UNHURRIED_SWEEP_EVERY_S": "0.2",
    "UNHURRIED_SETTLE_ANTHROPIC_S": "0.3",
    "UNHURRIED_SETTLE_OPENAI_S": "0.3",
    "UNHURRIED_POLL_MIN_S": "0.03",
    "UNHURRIED_POLL_MAX_S": "0.03",
    "UNHURRIED_CHORD_JOIN_TIMEOUT_S": "0.2",
    "UNHURRIED_COMPLETION_LEASE_S": "0.5",
    "UNHURRIED_RETRY_FIRST_S": "0.05",
    "UNHURRIED_INTAKE_STALE_AFTER_S": "0.2",
    # Two portions of a batch, so that a kill falls between them.
    "UNHURRIED_SETTLE_LINES_MAX": "2",
}
#: Celery's claim on a chord outlasts our lease of its last part, as it may in life, and the start of a process.
_CHORD_CLAIM_LEFT_MS: Final = 4000
_NO_SPANS: Final[Mapping[str, str]] = MappingProxyType({})
_KEY: Final = {"Authorization": "Bearer simulated"}
_CREATES: Final = {"anthropic": "/v1/messages/batches", "openai": "/v1/batches"}


@dataclass(frozen=True)
class Grounds:
    """What all worlds share."""

    postgres_url: str
    template: str
    redis_url: str
    directory: Path


class World:
    """A Redis database, a ledger made anew for each run, a simulator and a mail catcher. A context manager."""

    def __init__(self, grounds: Grounds, number: int) -> None:
        """`number` is the Redis database's."""
        self._grounds = grounds
        self.directory = grounds.directory / str(number)
        self.redis_url = f"{grounds.redis_url.rpartition('/')[0]}/{number}"
        self.mails = self.directory / "mails"
        self.ledger = Ledgers(grounds.postgres_url, grounds.template)
        self.turns = Turns()
        self._stack = ExitStack()
        self._provider = ""

    def __enter__(self) -> Self:
        """Start what is its own."""
        enter = self._stack.enter_context
        self.mails.mkdir(parents=True)
        self._nursery = enter(Nursery(self.directory / "logs"))
        self._simulator = enter(running(self.directory, "--speed", SPEED))
        mail_port = free_port()
        self._stack.callback(start_mail_sink(self.mails, port=mail_port).stop)
        self.redis: redis.Redis = enter(redis.Redis.from_url(self.redis_url))
        self._stack.callback(self.ledger.drop)
        behind = {
            "postgres": _port(self._grounds.postgres_url),
            "redis": _port(self.redis_url),
            "provider": _port(self._simulator.url),
            "mail": mail_port,
        }
        self._ports = {
            name: enter(FaultProxy(port, name=name, turns=self.turns)).port
            for name, port in behind.items()
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self._stack.close()

    def begin(self, load: Load) -> None:
        """Forget everything, and let a caller have published this."""
        self.ledger.begin()
        self.redis.flushdb()
        load.publish(self.redis)
        self.ask("/_reset", {})
        self.ask("/_faults", method="DELETE")
        for mail in self.mails.iterdir():
            mail.unlink()
        self._nursery.forget()
        self._provider = load.provider

    def start(
        self,
        steps: Sequence[str],
        *,
        edge: Edge | None = None,
        until: Path | None = None,
        spans: Mapping[str, str] = _NO_SPANS,
    ) -> Child:
        """A process of the service that takes these steps, and is held at the edge.

        `spans` are settings that it has otherwise than all the others.
        """
        self.turns.begin(edge)
        return self._nursery.bear(steps, {**self._environment(), **spans}, until=until)

    def run(self, *steps: str, spans: Mapping[str, str] = _NO_SPANS) -> None:
        """Let a process take these steps, and end."""
        child = self.start(steps, spans=spans)
        assert child.wait() == 0, child.tail()

    def ask(self, path: str, said: Any = None, *, method: str | None = None) -> Any:
        """One of the simulator's addresses; POST where something is said, unless another is named."""
        data = None if said is None else json.dumps(said).encode()
        request = urllib.request.Request(self._simulator.url + path, data, _KEY, method=method)
        with urllib.request.urlopen(request, timeout=START_S) as reply:
            return json.loads(reply.read())

    def arm(self, fault: str) -> None:
        """Let the next create go wrong at the provider."""
        self.ask("/_faults", {"fault": fault, "method": "POST", "path": _CREATES[self._provider]})

    def let_claims_end(self) -> None:
        """Some minutes pass for whatever a dead process had claimed: these spans are no settings."""
        self.ledger.let_claims_end()
        claims: Any = self.redis.keys("celery-taskset-meta-*.c")
        for claim in claims:
            if self.redis.get(claim) != b"done":
                self.redis.pexpire(claim, _CHORD_CLAIM_LEFT_MS, lt=True)

    def await_batches(self) -> None:
        """Wait until every batch at the provider has ended."""
        wait_until(self.batches_ended, within_s=START_S, what="the batches to end")

    def batches_ended(self) -> bool:
        """Whether nothing goes on at the provider."""
        found = self.ask("/_books")["batches"]
        return all(one["status"] in ("ended", "completed", "cancelled") for one in found)

    def _environment(self) -> dict[str, str]:
        ours = {key: one for key, one in os.environ.items() if not key.startswith("UNHURRIED_")}
        at = {name: f"127.0.0.1:{port}" for name, port in self._ports.items()}
        suffix = "/v1" if self._provider == "openai" else ""
        name = f"UNHURRIED_{self._provider.upper()}"
        database = f"{at['postgres']}/{self.ledger.name}?sslmode=disable"
        return {
            **ours,
            **SPANS,
            "PYTHONPATH": str(ROOT),
            "UNHURRIED_DATABASE_URL": f"postgresql+psycopg://postgres@{database}",
            "UNHURRIED_REDIS_URL": f"redis://{at['redis']}/{self.redis_url.rpartition('/')[2]}",
            "UNHURRIED_SMTP_URL": f"smtp://{at['mail']}",
            "UNHURRIED_RUN_DIRECTORY": str(self.directory / "run"),
            f"{name}_API_KEY": "simulated",
            f"{name}_BASE_URL": f"http://{at['provider']}{suffix}",
        }


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
