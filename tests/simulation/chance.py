"""What goes wrong in a schedule: drawn from its seed, or laid down by a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final, TypeVar

_T = TypeVar("_T")

#: The share of schedules that strike one edge over and over, and how.
_HAMMERED: Final = 0.6
_EDGES: Final = 70
_HAMMER_KILL: Final = 0.25
_HAMMER_PAUSE: Final = 0.4
_PAUSE_MAX_S: Final = 5400.0
#: A byte that leaves us later than the intent allows is what no protocol can mend at Anthropic: within the
#: strict rules a process is not stopped that long between its last look at the clock and the send.
_SEND_PAUSE_MAX_S: Final = 600.0
SEND_EDGE: Final = "provider.create:before"


class Deed(StrEnum):
    """What happens at an edge."""

    GO = "go"
    KILL = "kill"
    #: The process stands still for long, and goes on as if nothing had been.
    PAUSE = "pause"
    #: As PAUSE, and the server has dropped its connections meanwhile: its locks are others'.
    ZOMBIE = "zombie"
    #: The connection breaks before the server has heard of it.
    CUT_BEFORE = "cut_before"
    #: The server did it, and the connection breaks before it says so.
    CUT_AFTER = "cut_after"


LONG: Final = frozenset({Deed.PAUSE, Deed.ZOMBIE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """How often each thing goes wrong, from 0 to 1."""

    kill: float = 0.004
    pause: float = 0.004
    zombie: float = 0.003
    cut: float = 0.003
    overtake: float = 0.15
    #: Of a create: its reply is lost, it arrives late, it never arrives, a definite no.
    create_lost: float = 0.15
    create_late: float = 0.1
    create_never: float = 0.1
    create_refused: float = 0.08
    #: Of any other question to a provider.
    unreachable: float = 0.06
    not_found: float = 0.04
    #: Of a batch: expired with a part done, refused whole.
    expired: float = 0.1
    void: float = 0.06
    #: Of a create without a clear reply: somebody makes a batch of the same size just then.
    twin: float = 0.15
    #: Of a line: an error that passes, one that does not, absent from the file, there twice.
    transient: float = 0.05
    rejected: float = 0.04
    dropped: float = 0.03
    doubled: float = 0.05
    stranger: float = 0.05
    #: Of a download: cut off.
    truncated: float = 0.1
    #: Of a mail: a passing no, a lost reply.
    mail_later: float = 0.15
    mail_lost: float = 0.1


def _scaled(rates: Rates, factor: float) -> Rates:
    return Rates(
        **{name: min(getattr(rates, name) * factor, 0.6) for name in Rates.__dataclass_fields__}
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """The weather of one schedule."""

    rates: Rates = field(default_factory=Rates)
    #: Two of every process.
    doubled: bool = False
    #: Redis forgets everything, or an older copy of it takes over, this often.
    redis_losses: int = 0
    #: Batches that somebody made by hand in the same workspaces.
    foreign: int = 0
    #: A create may arrive at any time: nothing but the money is promised.
    weak: bool = False


class Chance:
    """One seed's choices. With a `plan`, only what that says goes wrong."""

    def __init__(
        self,
        seed: int,
        *,
        weak: bool = False,
        plan: Mapping[tuple[str, int], Deed] | None = None,
        mix: Mix | None = None,
    ) -> None:
        self._random = Random(f"{seed}/{weak}")  # noqa: S311 - repeatable, not secret
        self._plan = plan
        self._known: list[str] = []
        self._hammer = self._random.randrange(_EDGES) if self._random.random() < _HAMMERED else -1
        self._is_calm = False
        self.mix = mix if mix is not None else self._drawn(weak=weak)

    def _drawn(self, *, weak: bool) -> Mix:
        random = self._random
        return Mix(
            rates=_scaled(Rates(), random.choice([0.0, 0.3, 1.0, 1.0, 2.5])),
            doubled=random.random() < 0.5,
            redis_losses=random.choice([0, 0, 0, 1, 2]),
            foreign=random.choice([0, 0, 1, 2]),
            weak=weak,
        )

    @property
    def is_laid_down(self) -> bool:
        """Whether a plan says what goes wrong: the scene is a small one."""
        return self._plan is not None

    def calm(self) -> None:
        """From here on nothing goes wrong."""
        self._is_calm = True

    def deed(self, edge: str, number: int) -> Deed:
        """What happens the `number`th time that this edge is reached."""
        if self._plan is not None:
            return self._plan.get((edge, number), Deed.GO)
        if edge not in self._known:
            self._known.append(edge)
        if self._is_calm:
            return Deed.GO
        drawn = self._random.random()
        if self._known.index(edge) == self._hammer:
            if drawn < _HAMMER_KILL:
                return Deed.KILL
            return Deed.PAUSE if drawn < _HAMMER_KILL + _HAMMER_PAUSE else Deed.GO
        rates = self.mix.rates
        half = rates.cut / 2
        for deed, rate in (
            (Deed.KILL, rates.kill),
            (Deed.PAUSE, rates.pause),
            (Deed.ZOMBIE, rates.zombie),
            (Deed.CUT_BEFORE, half),
            (Deed.CUT_AFTER, half),
        ):
            if drawn < rate:
                return deed
            drawn -= rate
        return Deed.GO

    def pause_s(self, edge: str) -> float:
        """How long a process stands still there."""
        most = _SEND_PAUSE_MAX_S if edge == SEND_EDGE and not self.mix.weak else _PAUSE_MAX_S
        return self.between(1.0, most)

    def overtakes(self) -> bool:
        """Whether somebody else may go first here."""
        return self._plan is None and self._random.random() < self.mix.rates.overtake

    def happens(self, rate: str) -> bool:
        """Whether what has this rate happens now."""
        if self._is_calm:
            return False
        return self._random.random() < float(getattr(self.mix.rates, rate))

    def between(self, least: float, most: float) -> float:
        """A span, or a moment."""
        return self._random.uniform(least, most)

    def count(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        return self._random.randint(least, most)

    def pick(self, among: Sequence[_T]) -> _T:
        """One of them."""
        return self._random.choice(among)
