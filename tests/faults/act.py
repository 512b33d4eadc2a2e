"""One row at work: load is published, a fault strikes both providers' cells, and everything comes to rest."""

import json
import os
import re
import signal
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dev.fault_proxy import Deed, Fault, FaultProxy
from dev.processes import Process, poll_until
from dev.stack import Stack
from tests.crash.scene import PROVIDERS, Scene, digest
from tests.faults.cells import Cell, Expected, Seen, is_at_rest, measure
from tests.notify.receivers import Inbox
from tests.road.conftest import books, lines
from tests.support.waiting import wait_until_quiet

#: A row that is not at rest by then has lost something.
WITHIN_S: Final = 150.0
_STRUCK_S: Final = 60.0
#: Each look reads the whole books.
LOOK_S: Final = 0.5
_ENDED: Final = frozenset({"ended", "completed", "expired", "cancelled", "failed", "deleted"})
#: The simulator's addresses by provider.
CREATE: Final = {"anthropic": "/v1/messages/batches", "openai": "/v1/batches"}
STATUS: Final = {"anthropic": "/v1/messages/batches/*", "openai": "/v1/batches/*"}
RESULTS: Final = {"anthropic": "/v1/messages/batches/*/results", "openai": "/v1/files/*/content"}
DIRECT: Final = {"anthropic": "/v1/messages", "openai": "/v1/responses"}


@dataclass(frozen=True)
class Ground:
    """What all rows stand on: the service, a caller, the sinks, and a proxy before the completer's Redis."""

    scene: Scene
    redis_proxy: FaultProxy
    inbox: Inbox

    @property
    def stack(self) -> Stack:
        """The service's processes."""
        return self.scene.stack


@dataclass
class Act:
    """One row: its faults, its load, and how often each provider's cell was struck."""

    ground: Ground
    row: str
    #: Every prompt of the row carries it.
    name: str
    jobs: int
    providers: Sequence[str] = PROVIDERS
    shape: str = "mixed"
    failures: int = 0
    #: A surplus that is under way when the last expected thing has come shows within this.
    quiet_s: float = 3.0
    within_s: float = WITHIN_S
    fired: Counter[str] = field(default_factory=Counter)
    #: What a row found beside the figures, by provider.
    trouble: dict[str, str] = field(default_factory=dict)
    _loads: list[Process] = field(default_factory=list)

    @property
    def expected(self) -> Expected:
        """What the load asks for."""
        mixed = self.shape == "mixed"
        mails = {"mixed": self.jobs // 20, "mail": self.jobs, "hook": self.jobs}.get(self.shape, 0)
        return Expected(jobs=self.jobs, bodies=int(mixed), mails=mails, failures=self.failures)

    def simulate(
        self, fault: str, paths: dict[str, str], *, method: str = "*", **said: Any
    ) -> None:
        """Arm a fault of the simulator for each provider."""
        for provider in self.providers:
            body = {"fault": fault, "method": method, "path": paths[provider], **said}
            self._ask("/_faults", body)

    def strike(
        self,
        request: dict[str, re.Pattern[bytes]],
        deed: Deed,
        *,
        after_bytes: int = 0,
        proxy: FaultProxy | None = None,
        skip: int = 0,
    ) -> dict[str, Fault]:
        """Arm a proxy (the simulator's unless another is given) for each provider."""
        where = proxy or self.ground.stack.proxies["simulator"]
        return {
            provider: where.arm(
                Fault(request=request[provider], deed=deed, after_bytes=after_bytes, skip=skip)
            )
            for provider in self.providers
        }

    def publish(self) -> None:
        """Start the callers' processes."""
        for provider in self.providers:
            self._loads.append(
                self.ground.scene.publish(self.name, provider, self.jobs, self.shape)
            )

    def await_published(self, number: int) -> None:
        """Wait until every caller has published that many; they go on."""
        for load in self._loads:
            self.ground.scene.await_published(load, number)

    def await_admitted(self) -> None:
        """Wait until every message is in the ledger: nothing of it is in Redis alone any more."""
        for load in self._loads:
            assert load.wait(within_s=_STRUCK_S) == 0, load.tail()
        self.ground.scene.await_rest()

    def kill_when_struck(self, faults: dict[str, Fault], name: str) -> None:
        """SIGKILL a process once a fault holds it, for each provider; it is started again each time."""
        for provider, fault in faults.items():
            if not fault.struck.wait(_STRUCK_S):
                self.trouble[provider] = "the edge was never reached"
                continue
            self.kill(name)
            self.fired[provider] += 1

    def kill(self, name: str) -> None:
        """SIGKILL a process that runs, and start it again."""
        process = self.ground.stack.process(name)
        process.require_alive()
        process.kill()
        self.ground.stack.restart(name)

    def all_fired(self, times: int = 1) -> None:
        """The fault struck both cells at once."""
        self.fired.update(dict.fromkeys(self.providers, times))

    def finish(self) -> list[Cell]:
        """Wait for rest, take the faults away and count."""
        late = not poll_until(self.is_at_rest, within_s=self.within_s, every_s=LOOK_S)
        self._count_simulated()
        if not late:
            self._await_quiet()
        return [
            measure(
                self.seen(provider),
                self.expected,
                row=self.row,
                provider=provider,
                fired=self.fired[provider],
                trouble=self.trouble.get(provider, "not at rest" if late else ""),
            )
            for provider in self.providers
        ]

    def seen(self, provider: str) -> Seen:
        """What can be seen of a cell from outside."""
        caller = self.ground.scene.caller
        numbers = {digest(self.name, provider, number): number for number in range(self.jobs)}
        billed: Counter[int] = Counter()
        nanos: Counter[int] = Counter()
        for line in lines(self.ground.stack):
            number = numbers.get(line["prompt"])
            if number is not None and line["provider"] == provider:
                billed[number] += 1
                nanos[number] = line["nano_usd"]
        events = [
            event
            for kind in ("landed", "body", "failed")
            for event in caller.events(kind)
            if event["name"] == self.name and _provider_of(event, provider)
        ]
        return Seen(
            events=tuple(events), billed=billed, billed_nano_usd=nanos, mails=self._mails(provider)
        )

    def _mails(self, provider: str) -> Counter[str]:
        if self.shape == "hook":
            said = f'"{self.name}:{provider}:'.encode()
            got = [one for one in self.ground.inbox.got if said in one.body]
            # A repetition under its own id is what a webhook may do; another id is another event.
            return Counter(dict.fromkeys({one.id for one in got}, 1))
        return self.ground.scene.mailed(f"{self.name}-{provider}")

    @contextmanager
    def standing_still(self, name: str) -> Iterator[None]:
        """A process is there, and does nothing."""
        process = self.ground.stack.process(name)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process.pid, signal.SIGCONT)

    def clear(self) -> None:
        """Take the simulator's faults away now; what they hold goes on."""
        self._count_simulated()

    def is_at_rest(self) -> bool:
        """Whether everything that is expected has come, and every batch has ended."""
        done = all(is_at_rest(self.seen(one), self.expected) for one in self.providers)
        return done and self.have_batches_ended()

    def have_batches_ended(self) -> bool:
        """Whether no batch runs at the simulator any more."""
        return all(one["status"] in _ENDED for one in books(self.ground.stack)["batches"])

    def _await_quiet(self) -> None:
        self.ground.scene.await_rest()
        wait_until_quiet(self._figures, quiet_s=self.quiet_s, every_s=LOOK_S)

    def _figures(self) -> list[Any]:
        found = [self.seen(provider) for provider in self.providers]
        return [(len(one.events), sum(one.billed.values()), dict(one.mails)) for one in found]

    def _count_simulated(self) -> None:
        for mishap in self._ask("/_faults", None, method="DELETE"):
            provider = "anthropic" if "/messages" in mishap["path"] else "openai"
            self.fired[provider] += mishap["fired"]

    def _ask(self, path: str, body: Any, *, method: str = "POST") -> Any:
        request = urllib.request.Request(
            self.ground.stack.simulator_url + path,
            None if body is None else json.dumps(body).encode(),
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read())


def _provider_of(event: dict[str, Any], provider: str) -> bool:
    said = event.get("said", event.get("provider", ""))
    first = said[0] if isinstance(said, list) else said
    return f" {provider} is number " in first or first == provider


@contextmanager
def with_redis_proxy(stack: Stack) -> Iterator[FaultProxy]:
    """A proxy that the completer, once started again, reaches Redis by."""
    url = stack.variables["UNHURRIED_REDIS_URL"]
    port = url.rpartition(":")[2].partition("/")[0]
    with FaultProxy(int(port)) as proxy:
        stack.own["completer"] = {
            "UNHURRIED_REDIS_URL": url.replace(f":{port}/", f":{proxy.port}/")
        }
        stack.restart("completer")
        yield proxy


def report(path: Path, cells: Sequence[Cell]) -> None:
    """Keep the figures as JSON."""
    path.write_text(json.dumps([cell.wire() for cell in cells], indent=2) + "\n", "utf-8")
