"""What exists at the simulated providers: batches, files and responses. Bodies are on disk."""

import hashlib
import itertools
import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any, Final

from simulator.batches import Phase, Timeline, plan
from simulator.books import Books
from simulator.clock import Clock
from simulator.fates import Fates
from simulator.prices import Tokens

#: The oldest responses of direct calls are forgotten beyond this.
_RESPONSES_MAX: Final = 10_000
_LIVE: Final = frozenset({Phase.VALIDATING, Phase.IN_PROGRESS, Phase.FINALIZING})


@dataclass(slots=True)
class Counts:
    """How the requests of a batch ended."""

    succeeded: int = 0
    errored: int = 0
    expired: int = 0
    canceled: int = 0


@dataclass(slots=True)
class Batch:
    """One provider batch. `spool` holds a line `[custom_id, params]` a request."""

    id: str
    provider: str
    timeline: Timeline
    spool: Path
    #: Where each line of the spool begins.
    offsets: list[int]
    #: What the provider was told and has to repeat.
    extra: dict[str, Any] = field(default_factory=dict)
    #: Why the provider refuses the whole batch; shown once it is validated.
    failures: list[dict[str, Any]] = field(default_factory=list)
    #: Prompt tokens by an estimate, which is what a limit on enqueued tokens counts.
    enqueued_tokens: int = 0
    #: How many of its lines fail without a reason.
    null_error_share: float = 0.0
    #: How many of its lines are refused because the account is closed by then.
    closed_share: float = 0.0
    #: How many of its lines are told of nowhere.
    omitted_share: float = 0.0
    #: False for what exists from the start: nobody bought it.
    billed: bool = True
    counts: Counts = field(default_factory=Counts)
    usage: Tokens = field(default_factory=lambda: Tokens(0, 0))
    settled: bool = False
    deleted: bool = False
    lock: Lock = field(default_factory=Lock)

    @property
    def total(self) -> int:
        """How many requests it holds."""
        return len(self.offsets)

    @property
    def results(self) -> Path:
        """Where its answered lines are, once it is settled."""
        return self.spool.with_suffix(".results")

    @property
    def errors(self) -> Path:
        """Where its failed lines are, for a provider that keeps them apart."""
        return self.spool.with_suffix(".errors")


@dataclass(slots=True)
class StoredFile:
    """An uploaded or produced file; gone when simulated time passes `expires_at`."""

    id: str
    filename: str
    purpose: str
    path: Path
    created_at: float
    expires_at: float | None = None


class Store:
    """Everything that exists. Settling is guarded by a batch's lock; the rest by the event loop."""

    def __init__(
        self,
        *,
        directory: Path,
        clock: Clock,
        seed: int | None,
        window_s: float,
        lenient: bool = False,
    ) -> None:
        """Without a seed every run has ids of its own, so that nobody mistakes it for the last."""
        self.directory = directory
        self.clock = clock
        self.window_s = window_s
        self.lenient = lenient
        self.seed = seed if seed is not None else secrets.randbits(64)
        #: Set when the process is to end: a large batch stops being settled.
        self.closing = Event()
        self.permanent: set[str] = set()
        self._tail = hashlib.sha256(str(self.seed).encode()).hexdigest()[:12]
        self._numbers = itertools.count(1)
        self._generation = 0
        self._begin()

    def clear(self) -> None:
        """Forget everything, and let go of the disk."""
        shutil.rmtree(self._place)
        self._generation += 1
        self._begin()

    def new_id(self, prefix: str) -> str:
        """A fresh id: unguessable ones are not needed here, repeatable ones are."""
        return f"{prefix}_{next(self._numbers):08d}{self._tail}"

    def path(self, name: str) -> Path:
        """A place on disk."""
        return self._place / name

    def add_batch(
        self,
        *,
        provider: str,
        batch_id: str,
        requests: Iterator[tuple[str, dict[str, Any]]],
        extra: dict[str, Any] | None = None,
        failures: list[dict[str, Any]] | None = None,
        validated: bool,
    ) -> Batch:
        """Take a batch: its requests go to disk, one after the other.

        Reading `requests` may add to `failures`; one that has any fails when it is validated.
        """
        spool = self.path(f"{batch_id}.requests")
        offsets: list[int] = []
        with spool.open("wb") as file:
            for custom_id, params in requests:
                offsets.append(file.tell())
                file.write(json.dumps([custom_id, params]).encode() + b"\n")
        failures = failures if failures is not None else []
        timeline = plan(
            seed=f"{self.seed}:{batch_id}",
            total=len(offsets),
            now=self.clock.now(),
            window_s=self.window_s,
            validated=validated,
            invalid=bool(failures),
        )
        batch = Batch(batch_id, provider, timeline, spool, offsets, extra or {}, failures)
        self.batches[batch_id] = batch
        return batch

    def of(self, provider: str) -> list[Batch]:
        """A provider's batches, the newest first."""
        return [
            one
            for one in reversed(list(self.batches.values()))
            if one.provider == provider and not one.deleted
        ]

    def batch(self, provider: str, batch_id: str) -> Batch | None:
        """A batch that this provider knows."""
        found = self.batches.get(batch_id)
        return found if found and found.provider == provider and not found.deleted else None

    def file(self, file_id: str) -> StoredFile | None:
        """A file that has not expired."""
        found = self.files.get(file_id)
        if found is None or found.expires_at is None or self.clock.now() < found.expires_at:
            return found
        self.forget_file(file_id)
        return None

    def forget_file(self, file_id: str) -> None:
        """Delete a file that exists, unless it is there for good."""
        if file_id not in self.permanent:
            self.files.pop(file_id).path.unlink(missing_ok=True)

    def keep_response(self, response: dict[str, Any]) -> None:
        """Remember the answer of a direct call."""
        self.responses[response["id"]] = response
        if len(self.responses) > _RESPONSES_MAX:
            del self.responses[next(iter(self.responses))]

    def enqueued_tokens(self, model: object) -> int:
        """Prompt tokens of a model that wait in live OpenAI batches."""
        now = self.clock.now()
        return sum(
            one.enqueued_tokens
            for one in self.of("openai")
            if one.extra.get("model") == model and one.timeline.phase(now) in _LIVE
        )

    def _begin(self) -> None:
        self._place = self.directory / str(self._generation)
        self._place.mkdir()
        self.books = Books()
        self.fates = Fates(lenient=self.lenient)
        self.batches: dict[str, Batch] = {}
        self.files: dict[str, StoredFile] = {}
        self.responses: dict[str, dict[str, Any]] = {}
