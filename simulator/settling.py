"""Writes and bills the results of an ended batch, once: the moment that its caller could have them."""

import json
import random
from contextlib import ExitStack
from typing import Any, Final, Protocol

from starlette.concurrency import run_in_threadpool

from simulator.batches import ENDED
from simulator.books import BilledLine
from simulator.fates import Fate, Fates, NotRun, Said, Why, digest
from simulator.faults import CLOSED, Refused
from simulator.prices import Tokens, nano_usd
from simulator.shares import is_one_of
from simulator.store import Batch, Counts, Store

#: How often a long settling looks whether the process is to end.
_LINES_PER_LOOK: Final = 500


class Wire(Protocol):
    """What a provider's wire knows about its batches."""

    def render(self, custom_id: str, fate: Fate) -> tuple[bytes, bool]:
        """One result line, ended; the second value says whether it is an error's."""
        ...

    def status(self, batch: Batch) -> str:
        """The provider's word for where a batch is."""
        ...


class ClosingError(Exception):
    """The process is to end; nothing was billed."""


class _Tally:
    """What settling one batch adds up to."""

    def __init__(self, batch: Batch) -> None:
        self.counts = Counts()
        self.lines: list[BilledLine] = []
        self._batch = batch
        self._input = 0
        self._output = 0

    @property
    def usage(self) -> Tokens:
        """The sum over billed lines."""
        return Tokens(self._input, self._output)

    def add(self, custom_id: str, params: dict[str, Any], fate: Fate) -> None:
        """Count a line, and bill it where it was answered."""
        match fate:
            case Said():
                self.counts.succeeded += 1
                self._input += fate.tokens.input
                self._output += fate.tokens.output
                nanos = nano_usd(fate.price, fate.tokens, batch=True)
                line = BilledLine(
                    self._batch.provider, custom_id, digest(params), nanos, self._batch.id
                )
                self.lines.append(line)
            case Refused() | NotRun(Why.NULL_ERROR):
                self.counts.errored += 1
            case NotRun(Why.EXPIRED):
                self.counts.expired += 1
            case NotRun():
                self.counts.canceled += 1


async def settled(store: Store, batch: Batch, wire: Wire) -> bool:
    """Settle a batch if it has ended; whether its results are there. Seconds for a large one."""
    if not batch.settled and batch.timeline.phase(store.clock.now()) in ENDED:
        await run_in_threadpool(_settle, store, batch, wire)
    return batch.settled


def _settle(store: Store, batch: Batch, wire: Wire) -> None:
    # The books as they are now: after a reset they are others, and these lines are forgotten.
    books, fates = store.books, store.fates
    with batch.lock:
        if batch.settled:
            return
        tally = _Tally(batch)
        if not batch.timeline.invalid:
            _write(store, batch, wire, tally, fates)
        if batch.billed:
            books.post(tally.lines)
        batch.counts, batch.usage = tally.counts, tally.usage
        batch.settled = True


def _write(store: Store, batch: Batch, wire: Wire, tally: _Tally, fates: Fates) -> None:
    order = list(range(batch.total))
    random.Random(f"{store.seed}:{batch.id}:order").shuffle(order)  # noqa: S311 - repeatable order
    ran = batch.timeline.ran(batch.total, store.clock.now())
    cut = Why.CANCELED if batch.timeline.cancelled_at is not None else Why.EXPIRED
    with ExitStack() as files:
        spool = files.enter_context(batch.spool.open("rb"))
        results = files.enter_context(batch.results.open("wb"))
        errors = files.enter_context(batch.errors.open("wb"))
        for number, index in enumerate(order):
            if number % _LINES_PER_LOOK == 0 and store.closing.is_set():
                raise ClosingError
            spool.seek(batch.offsets[index])
            custom_id, params = json.loads(spool.readline())
            if is_one_of(custom_id, batch.omitted_share):
                continue
            fate = fates.of(batch.provider, params, batch=True) if index < ran else NotRun(cut)
            if isinstance(fate, Said) and is_one_of(custom_id, batch.null_error_share):
                fate = NotRun(Why.NULL_ERROR)
            if isinstance(fate, Said) and is_one_of(custom_id, batch.closed_share):
                fate = CLOSED[batch.provider]
            tally.add(custom_id, params, fate)
            line, is_error = wire.render(custom_id, fate)
            (errors if is_error else results).write(line)
    batch.spool.unlink(missing_ok=True)
