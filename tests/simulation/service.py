"""The service's processes, put together of production code for one world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from app.collector.bring_in import BringIn, Thoroughness
from app.collector.collect import Collector, Pace
from app.collector.strays import Strays
from app.completion.celery_end import CeleryEnd
from app.completion.chords import Chords
from app.completion.complete import Completer, Lease
from app.completion.latest import Latest
from app.completion.redis_loss import RedisLoss
from app.completion.redis_mark import RedisMark
from app.intake import messages
from app.ledger import admission
from app.ledger import engine as ledger
from app.notify.compose import Composer
from app.notify.outbox import MailRules, Outbox
from app.packer.interlock import Interlock
from app.packer.pack import Packer
from app.packer.search import Rhythm, Search
from app.packer.submit import Spans, Submitter
from app.packer.sweep import Rounds, Sweep
from app.packer.whose import Whose
from app.policy.judging import Judge
from app.policy.packing import Limits, Patience
from app.policy.reconciling import Emptiness
from app.policy.rules import Rules
from app.providers.attached import Attached
from app.providers.port import Provider
from app.upkeep.counting import Counting
from app.upkeep.sweep import Upkeep
from tests.simulation.callers import Callers, Mailbox
from tests.simulation.canvas import APP
from tests.simulation.provider import MODELS
from tests.simulation.redis_memory import RedisMemory
from tests.simulation.world import Process, World
from unhurried.contract import Tier

DEPLOYMENT: Final = "simulated/ledger"
#: Production's defaults, for what a protocol rests on.
SETTLE: Final = {"anthropic": timedelta(seconds=1800), "openai": timedelta(seconds=900)}
SEND_TTL: Final = timedelta(seconds=300)
_SEND_WITHIN: Final = timedelta(seconds=55)
_AGAIN: Final = timedelta(seconds=120)
_SWEEP_EVERY: Final = timedelta(seconds=600)
_DOWNLOADS_MAX: Final = 3
_EMPTINESS: Final = Emptiness(looks=_DOWNLOADS_MAX, after=timedelta(hours=1))
_LEASE: Final = timedelta(seconds=60)
_CLAIM_S: Final = 60.0
_INTAKE_MAX: Final = 4
_RULES: Final = Rules(
    request_bytes_max=100_000, attempts_max=3, tiers=frozenset({Tier.BATCH, Tier.NEAR_REAL_TIME})
)
#: Dollars per million tokens; the books are kept by hand at the same rates.
_PRICES: Final = {f"{provider}/{model}": (1.0, 5.0) for provider, model in MODELS.items()}
_JUDGE: Final = Judge(overrides=_PRICES, first_backoff=timedelta(seconds=30))
_COMPOSER: Final = Composer(sender="unhurried@example.com", templates_directory=None)


@dataclass(frozen=True, kw_only=True)
class Service:
    """Starts the processes; each of their lives begins with an empty memory."""

    world: World
    engine: Engine
    providers: Mapping[tuple[str, str], Provider]
    spool: Path
    memory: RedisMemory
    callers: Callers

    def start(self, *, doubled: bool) -> None:
        """Start one of every process, or two."""
        for suffix in ("", "-2") if doubled else ("",):
            for name, begin, rest_s in (
                ("intake", self._intake, (30.0, 400.0)),
                ("packer", self._packer, (30.0, 600.0)),
                ("collector", self._collector, (60.0, 900.0)),
                ("completer", self._completer, (60.0, 600.0)),
                ("notifier", self._notifier, (120.0, 1200.0)),
                ("upkeep", self._upkeep, (300.0, 1800.0)),
            ):
                self.world.add(Process(name + suffix, begin, rest_s))

    def _intake(self) -> Callable[[], None]:
        """As the pump does it: what is reserved is forgotten after the commit, and found again after a death."""
        callers = self.callers

        def one_round() -> None:
            while callers.reserved or callers.queue:
                if not callers.reserved:
                    callers.reserved += callers.queue[:_INTAKE_MAX]
                    del callers.queue[:_INTAKE_MAX]
                taken = list(callers.reserved)
                self.world.edge("intake.reserved")
                with self.engine.begin() as connection:
                    now = ledger.now(connection)
                    read = [messages.read(raw, now=now, rules=_RULES) for raw in taken]
                    admission.admit(connection, read, at=now)
                self.world.edge("intake.admitted")
                callers.reserved[:] = [raw for raw in callers.reserved if raw not in taken]

        return one_round

    def _packer(self) -> Callable[[], None]:
        interlock = Interlock(self.providers.keys())
        whose = Whose(self.spool, emptiness=_EMPTINESS)
        sweep = Sweep(
            engine=self.engine,
            providers=self.providers,
            interlock=interlock,
            whose=whose,
            deployment=DEPLOYMENT,
            rounds=Rounds(held=_AGAIN, clean=_SWEEP_EVERY),
        )
        limits = {
            name: Limits(
                requests_max=provider.limits.requests_max,
                bytes_max=provider.limits.bytes_max,
                line_overhead_bytes=provider.limits.line_overhead_bytes,
            )
            for (name, _), provider in self.providers.items()
        }
        packer = Packer(
            engine=self.engine,
            limits=limits,
            patience=Patience(linger=timedelta(minutes=5), due_margin=timedelta(hours=4)),
            interlock=interlock,
        )
        search = Search(
            engine=self.engine,
            providers=self.providers,
            whose=whose,
            deployment=DEPLOYMENT,
            rhythm=Rhythm(settle=SETTLE, again=_AGAIN),
        )
        submitter = Submitter(
            engine=self.engine,
            providers=self.providers,
            spool_directory=self.spool,
            deployment=DEPLOYMENT,
            interlock=interlock,
            attached=Attached(None),
            spans=Spans(
                send_ttl=SEND_TTL, send_within=_SEND_WITHIN, first_poll=timedelta(seconds=15)
            ),
            monotonic=self.world.monotonic,
        )
        return _in_turn(sweep.run, packer.run, search.run, submitter.run)

    def _collector(self) -> Callable[[], None]:
        bring_in = BringIn(
            engine=self.engine,
            spool_directory=self.spool,
            deployment=DEPLOYMENT,
            judge=_JUDGE,
            # Two lines a transaction, so that a kill falls between two of them.
            thoroughness=Thoroughness(
                lines_max=2,
                downloads_max=_DOWNLOADS_MAX,
                again_after=timedelta(seconds=15),
                emptiness=_EMPTINESS,
            ),
            on_settled=_nobody,
        )
        collector = Collector(
            engine=self.engine,
            providers=self.providers,
            bring_in=bring_in,
            pace=Pace(shortest=timedelta(seconds=15), longest=timedelta(seconds=300)),
            wake_completion=_nobody,
        )
        strays = Strays(
            engine=self.engine,
            providers=self.providers,
            spool_directory=self.spool,
            judge=_JUDGE,
            emptiness=_EMPTINESS,
            shortest=timedelta(seconds=15),
            longest=timedelta(seconds=300),
            on_settled=_nobody,
        )
        return _in_turn(collector.run, strays.run)

    def _completer(self) -> Callable[[], None]:
        completer = Completer(
            engine=self.engine,
            celery_end=CeleryEnd(APP),
            client=self.memory,
            key_prefix="",
            latest=Latest(client=self.memory, key_prefix=""),
            mark=RedisMark(self.memory, ""),
            lease=Lease(span=_LEASE),
        )
        return _in_turn(completer.run)

    def _notifier(self) -> Callable[[], None]:
        outbox = Outbox(
            engine=self.engine,
            sender=Mailbox(self.world, self.callers),
            composer=_COMPOSER,
            rules=MailRules(attempts_max=10),
            chance=lambda: self.world.chance.between(0, 1),
        )
        return _in_turn(outbox.recover, outbox.deliver_due)

    def _upkeep(self) -> Callable[[], None]:
        chords = Chords(
            engine=self.engine,
            celery_end=CeleryEnd(APP),
            client=self.memory,
            backend=APP.backend,
            mark=RedisMark(self.memory, ""),
            claim_s=_CLAIM_S,
            monotonic=self.world.monotonic,
        )
        redis_loss = RedisLoss(
            engine=self.engine,
            chords=chords,
            client=self.memory,
            backend=APP.backend,
            key_prefix="",
        )
        upkeep = Upkeep(
            engine=self.engine,
            chords=_Unrefreshed(),
            sweep_chords=partial(chords.sweep, remembers=redis_loss.remembers),
            sweep_direct_records=_none,
            take_in_pick_ups=_none,
            count=Counting(engine=self.engine, result_lifetime=timedelta(days=8)).run,
            # Nothing grows old within a schedule.
            prune=_none,
        )
        return _in_turn(redis_loss.run, upkeep.run)


class _Unrefreshed:
    """Chord keys do not expire within a schedule."""

    def refresh_chords(self, group_ids: Any) -> None:
        """Nothing to do."""


def _in_turn(*steps: Callable[[], Any]) -> Callable[[], None]:
    def one_round() -> None:
        for step in steps:
            step()

    return one_round


def _nobody() -> None:
    """Everybody looks by themselves, sooner or later."""


def _none() -> int:
    return 0
