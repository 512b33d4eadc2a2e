"""Batches and files of both providers: requests on disk, state by the clock, results written once."""

import hashlib
import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

from simulator.books import Books
from simulator.clock import Clock
from simulator.fates import Fate, NotRun, Refused, Requests, Said, digest

#: A small batch takes this long in simulated seconds; a large one a little longer.
_SHORTEST_S: Final = 60.0
_SPREAD_S: Final = 90.0
_PER_REQUEST_S: Final = 0.001


class Render(Protocol):
    """How a provider writes one result line; the second value says whether it is an error's."""

    def __call__(self, custom_id: str, fate: Fate, params: dict[str, Any]) -> tuple[bytes, bool]:
        """One line, ended."""
        ...


@dataclass(slots=True)
class Counts:
    """How the requests of a batch ended."""

    succeeded: int = 0
    errored: int = 0
    expired: int = 0
    canceled: int = 0


@dataclass(slots=True)
class Batch:
    """One provider batch. `spool` holds `(custom_id, params)` lines; offsets say where each begins."""

    id: str
    provider: str
    created_at: float
    ends_at: float
    expires_at: float
    spool: Path
    offsets: list[int]
    extra: dict[str, Any] = field(default_factory=dict)
    cancelled_at: float | None = None
    #: Set where the provider refused the whole batch in validation.
    failure: dict[str, Any] | None = None
    counts: Counts = field(default_factory=Counts)
    finished: bool = False
    lock: Lock = field(default_factory=Lock)

    @property
    def total(self) -> int:
        """How many requests it holds."""
        return len(self.offsets)

    @property
    def results(self) -> Path:
        """Where its answered lines are."""
        return self.spool.with_suffix(".results")

    @property
    def errors(self) -> Path:
        """Where its failed lines are, for a provider that keeps them apart."""
        return self.spool.with_suffix(".errors")

    def end(self) -> float:
        """When it ends: finished, cancelled, or its window closed."""
        ends = min(self.ends_at, self.expires_at)
        return ends if self.cancelled_at is None else min(ends, self.cancelled_at)

    def requests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every request, in the order of the body."""
        with self.spool.open("rb") as file:
            for raw in file:
                custom_id, params = json.loads(raw)
                yield custom_id, params


@dataclass(slots=True)
class StoredFile:
    """An uploaded or produced file."""

    id: str
    filename: str
    purpose: str
    path: Path
    created_at: float


class Store:
    """Everything that exists at the simulated providers. Thread-safe where two requests may meet."""

    def __init__(
        self, *, directory: Path, clock: Clock, books: Books, seed: int, window_s: float
    ) -> None:
        self.directory = directory
        self.clock = clock
        self.books = books
        self.window_s = window_s
        self.requests = Requests()
        self.batches: dict[str, Batch] = {}
        self.files: dict[str, StoredFile] = {}
        self._seed = seed
        self._numbers = itertools.count(1)

    def new_id(self, prefix: str) -> str:
        """A fresh id; unguessable ones are not needed here, repeatable ones are."""
        number = next(self._numbers)
        tail = hashlib.sha256(f"{self._seed}:{number}".encode()).hexdigest()[:18]
        return f"{prefix}_{number:06d}{tail}"

    def path(self, name: str) -> Path:
        """A place on disk."""
        return self.directory / name

    def add_batch(
        self,
        *,
        provider: str,
        prefix: str,
        requests: Iterator[tuple[str, dict[str, Any]]],
        extra: dict[str, Any] | None = None,
        failure: dict[str, Any] | None = None,
    ) -> Batch:
        """Take a batch: its requests go to disk, one after the other."""
        batch_id = self.new_id(prefix)
        spool = self.path(f"{batch_id}.requests")
        offsets: list[int] = []
        with spool.open("wb") as file:
            for custom_id, params in requests:
                offsets.append(file.tell())
                file.write(json.dumps([custom_id, params]).encode() + b"\n")
        now = self.clock.now()
        batch = Batch(
            id=batch_id,
            provider=provider,
            created_at=now,
            ends_at=now + self._duration(batch_id, len(offsets)),
            expires_at=now + self.window_s,
            spool=spool,
            offsets=offsets,
            extra=extra or {},
            failure=failure,
        )
        self.batches[batch_id] = batch
        return batch

    def of(self, provider: str) -> list[Batch]:
        """A provider's batches, the newest first."""
        return [one for one in reversed(self.batches.values()) if one.provider == provider]

    def ended(self, batch: Batch) -> bool:
        """Whether its end has come."""
        return batch.failure is None and self.clock.now() >= batch.end()

    def finish(self, batch: Batch, render: Render) -> None:
        """Write and bill the results of an ended batch, once. Takes seconds for a large one."""
        with batch.lock:
            if batch.finished or not self.ended(batch):
                return
            order = list(range(batch.total))
            random.Random(f"{self._seed}:{batch.id}").shuffle(order)  # noqa: S311 - repeatable order
            cut = self._cut(batch)
            with (
                batch.spool.open("rb") as spool,
                batch.results.open("wb") as results,
                batch.errors.open("wb") as errors,
            ):
                for index in order:
                    spool.seek(batch.offsets[index])
                    custom_id, params = json.loads(spool.readline())
                    fate = self._fate(batch, params, ran=index < cut)
                    self._book(batch, custom_id, params, fate)
                    line, is_error = render(custom_id, fate, params)
                    (errors if is_error else results).write(line)
            batch.finished = True

    def settle_all(self, render: Callable[[str], Render]) -> None:
        """Finish every batch whose end has come."""
        for batch in list(self.batches.values()):
            self.finish(batch, render(batch.provider))

    def clear(self) -> None:
        """Forget everything."""
        self.batches.clear()
        self.files.clear()
        self.books.clear()

    def _duration(self, batch_id: str, total: int) -> float:
        share = random.Random(f"{self._seed}:{batch_id}:duration").random()  # noqa: S311 - repeatable
        return _SHORTEST_S + _SPREAD_S * share + _PER_REQUEST_S * total

    def _cut(self, batch: Batch) -> int:
        """How many requests had run when the batch was cut short; all of them where it was not."""
        if batch.end() >= batch.ends_at:
            return batch.total
        span = max(batch.ends_at - batch.created_at, 0.001)
        return int(batch.total * min((batch.end() - batch.created_at) / span, 1.0))

    def _fate(self, batch: Batch, params: dict[str, Any], *, ran: bool) -> Fate:
        if ran:
            return self.requests.fate(batch.provider, params, batch=True)
        return NotRun("canceled" if batch.cancelled_at is not None else "expired")

    def _book(self, batch: Batch, custom_id: str, params: dict[str, Any], fate: Fate) -> None:
        match fate:
            case Said():
                batch.counts.succeeded += 1
                self.books.bill(
                    batch.provider,
                    params["model"],
                    fate.tokens,
                    prompt=digest(params),
                    custom_id=custom_id,
                    batch_id=batch.id,
                )
            case Refused():
                batch.counts.errored += 1
            case NotRun("expired"):
                batch.counts.expired += 1
            case NotRun():
                batch.counts.canceled += 1
