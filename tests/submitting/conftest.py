"""Packer, search and collector in this process, against a real ledger and a simulator over HTTP."""

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.collector.bring_in import BringIn, Thoroughness
from app.collector.collect import Collector, Pace
from app.collector.strays import Strays
from app.ledger import admission
from app.ledger import engine as ledger
from app.packer.interlock import Interlock
from app.packer.pack import Packer
from app.packer.search import Rhythm, Search
from app.packer.submit import Spans, Submitter
from app.packer.sweep import Rounds, Sweep
from app.packer.whose import Whose
from app.policy.judging import Judge
from app.policy.packing import Limits, Patience
from app.policy.reconciling import Emptiness
from app.providers.attached import Attached
from app.providers.port import Provider
from tests.providers.adapters import ENDPOINTS, KINDS, build
from tests.simulator.conftest import Simulator, running
from tests.support.factories import an_admission
from tests.support.waiting import wait_until
from unhurried.contract import Endpoint

MOMENT = timedelta(milliseconds=50)
SETTLE = timedelta(milliseconds=300)
DEPLOYMENT = "tests"
CREATES = {"anthropic": "/v1/messages/batches", "openai": "/v1/batches"}


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One for all: a batch takes a fraction of a second."""
    with running(tmp_path_factory.mktemp("simulator"), "--speed", "600") as found:
        yield found


@pytest.fixture
def simulator(shared: Simulator) -> Iterator[Simulator]:
    """Empty, and with nothing armed."""
    shared.ask("/_reset", method="POST")
    yield shared
    shared.ask("/_faults", method="DELETE")


@dataclass
class Road:
    """One deployment's part of the road, from waiting jobs to settled ones."""

    name: str
    engine: Engine
    simulator: Simulator
    provider: Provider
    spool: Path
    #: Further accounts at the same provider, by name.
    named: Mapping[str, Provider] = field(default_factory=dict)
    #: What all its accounts share; None is a workspace for each.
    workspace: str | None = None
    deployment: str = DEPLOYMENT
    #: Once, at the start, unless a test is about later looks.
    sweep_every: timedelta = timedelta(hours=1)
    #: How long after its end an empty file may still fill.
    empty_after: timedelta = timedelta(hours=1)
    #: How long a lane rests whose account refused lines.
    closed_for: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        providers = {(self.name, "default"): self.provider}
        providers |= {(self.name, name): provider for name, provider in self.named.items()}
        judge = Judge(overrides={}, first_backoff=timedelta(0))
        most = self.provider.limits
        limits = Limits(
            requests_max=most.requests_max,
            bytes_max=most.bytes_max,
            line_overhead_bytes=most.line_overhead_bytes,
        )
        patience = Patience(linger=timedelta(0), due_margin=timedelta(0))
        self.interlock = Interlock(providers)
        self.accounts = providers
        emptiness = Emptiness(looks=3, after=self.empty_after)
        self.whose = Whose(self.spool, emptiness=emptiness)
        self.sweep = self._sweep()
        self.packer = Packer(
            engine=self.engine,
            limits={self.name: limits},
            patience=patience,
            interlock=self.interlock,
        )
        self.submitter = Submitter(
            attached=Attached(None),
            engine=self.engine,
            providers=providers,
            spool_directory=self.spool,
            deployment=self.deployment,
            interlock=self.interlock,
            spans=Spans(send_ttl=SETTLE, send_within=SETTLE, first_poll=timedelta(0)),
            workspaces=dict.fromkeys(providers, self.workspace) if self.workspace else None,
        )
        self.search = Search(
            engine=self.engine,
            providers=providers,
            whose=self.whose,
            deployment=self.deployment,
            rhythm=Rhythm(settle={self.name: SETTLE}, again=MOMENT),
        )
        bring_in = BringIn(
            engine=self.engine,
            spool_directory=self.spool,
            deployment=self.deployment,
            judge=judge,
            thoroughness=Thoroughness(
                lines_max=100, downloads_max=3, again_after=MOMENT, emptiness=emptiness
            ),
            on_settled=lambda: None,
            closed_for=self.closed_for,
        )
        self.collector = Collector(
            engine=self.engine,
            providers=providers,
            bring_in=bring_in,
            pace=Pace(
                shortest=MOMENT, longest=MOMENT, rest=timedelta(0), unseen=SETTLE, crowded=MOMENT
            ),
            wake_completion=lambda: None,
        )
        self.strays = Strays(
            engine=self.engine,
            providers=providers,
            spool_directory=self.spool,
            judge=judge,
            emptiness=emptiness,
            shortest=MOMENT,
            longest=MOMENT,
            on_settled=lambda: None,
        )
        self.sweep.run()

    def admit(
        self,
        count: int,
        *,
        account: str | None = None,
        workload: str | None = None,
        named: str | None = None,
    ) -> None:
        """Let jobs wait, at the default account unless another is named; `named` tells them from others."""
        endpoint = Endpoint(ENDPOINTS[self.name])
        at: dict[str, str] = {"account": account} if account else {}
        at |= {"workload": workload} if workload else {}
        named = named or account or "task"
        admissions = [
            an_admission(f"{named}-{n}", prompt=f"Note {n} of {named}.", endpoint=endpoint, **at)
            for n in range(count)
        ]
        with self.engine.begin() as connection:
            admission.admit(connection, admissions, at=ledger.now(connection))

    def arm(self, fault: str, *, path: str | None = None, **fields: Any) -> None:
        """Let the simulator go wrong; by default at the next create."""
        said = {"fault": fault, "method": "POST", "path": path or CREATES[self.name], **fields}
        url = f"{self.simulator.url}/_faults"
        request = urllib.request.Request(url, json.dumps(said).encode(), method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def once(self) -> None:
        """Everything once, as the wake-ups do."""
        for one in self.rounds:
            one()

    @property
    def rounds(self) -> Sequence[Callable[[], object]]:
        """What the wake-ups do, in their order."""
        return (
            self.sweep.run,
            self.packer.run,
            self.search.run,
            self.submitter.run,
            self.collector.run,
            self.strays.run,
        )

    def sweep_now(self) -> None:
        """Look at the workspace as a process that has just started does."""
        self.sweep = self._sweep()
        self.sweep.run()

    def _sweep(self) -> Sweep:
        return Sweep(
            engine=self.engine,
            providers=self.accounts,
            interlock=self.interlock,
            whose=self.whose,
            deployment=self.deployment,
            rounds=Rounds(held=timedelta(0), clean=self.sweep_every),
        )

    def states(self, table: str = "submission") -> list[str]:
        """The states of all submissions or jobs, oldest first."""
        found = {
            "submission": "SELECT state FROM submission ORDER BY created_at",
            "job": "SELECT state FROM job ORDER BY id",
        }
        return [state for (state,) in self.rows(found[table])]

    def rows(self, statement: str) -> list[Any]:
        """What the ledger says."""
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def until(self, table: str, states: list[str]) -> None:
        """Go on until the ledger shows these states."""

        def there() -> bool:
            self.once()
            return self.states(table) == states

        wait_until(there, within_s=30, what=f"{table} {states}, not {self.states(table)}")

    def until_done(self, count: int) -> None:
        """Go on until all jobs have succeeded."""
        self.until("job", ["succeeded"] * count)

    def bought(self) -> dict[str, int]:
        """How often each request was billed, by the provider's own books."""
        found: dict[str, int] = {}
        for billed in self.simulator.books("/lines?limit=10000"):
            found[billed["prompt"]] = found.get(billed["prompt"], 0) + 1
        return found

    def booked_nano_usd(self) -> tuple[int, int]:
        """What the ledger booked, and what the provider did."""
        (ours,) = self.rows("SELECT coalesce(sum(nano_usd), 0) FROM charge")
        return int(ours[0]), self.simulator.books()["billed_nano_usd"]


@pytest.fixture(params=KINDS, ids=["anthropic", "openai"])
def road(
    request: pytest.FixtureRequest, engine: Engine, simulator: Simulator, tmp_path: Path
) -> Iterator[Road]:
    """One at each provider."""
    provider = build(request.param, simulator.url)
    yield Road(provider.name, engine, simulator, provider, tmp_path / "spool")
    provider.close()
