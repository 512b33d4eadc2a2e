"""What a scrape is answered from: a reading of the ledger, and how old it is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.policy.depths import Depth
from app.policy.standing import Standing


@dataclass(frozen=True, kw_only=True, slots=True)
class Sum:
    """A sum of the ledger: a counter's, or what a histogram has between one bound and the next."""

    #: One of `app.observe.catalogue.SUMS`.
    name: str
    #: In the order of the name's labels, without the model.
    labels: tuple[str, ...]
    #: Empty where the name has no model.
    model: str
    #: The upper bound; infinite for a counter.
    le: float
    count: int
    #: Seconds, jobs, tokens or nano-dollars.
    total: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What stood at one moment, and everything that was counted until then."""

    #: By the ledger's clock.
    at: datetime
    standing: Standing
    sums: tuple[Sum, ...] = ()
    #: Queues' depths of the last hours, the oldest first.
    depths: tuple[Depth, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """The last reading that succeeded, as whoever answers a scrape has it."""

    #: None before the first.
    reading: Reading | None
    #: Seconds since it was read.
    age_s: float
    #: What the last try found instead; None where it succeeded.
    failed: Standing | None = None

    @property
    def up(self) -> bool:
        """Whether the last try succeeded."""
        return self.reading is not None and self.failed is None


class Monitor(Protocol):
    """Keeps a reading."""

    def seen(self) -> Seen:
        """The last one. Returns at once."""
        ...
