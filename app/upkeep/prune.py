"""Prune what retention no longer keeps: a little in each round, or all that is due when a person says so.

Killed anywhere, run twice at once or beside everything else: each step is one short transaction that is done or not,
and what it leaves is found by the next.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from app.ledger import engine as ledger
from app.ledger import pruning, pruning_by_age
from app.ledger.pruning import Forget, Pass, Place
from app.ledger.pruning_by_age import STEPS, Step
from app.observe.log import tell
from app.policy.keeping import Cutoffs, Fate, Kind, Pruned

#: Transactions of each kind in one unattended round: some 2,000 jobs a minute, in a second or two.
_PAGES_OF_ROUND_MAX: Final = 10

#: Content first; of records, whatever others hang on last.
_RUNS: Final = next(step for step in STEPS if step.kind is Kind.RUNS)
_ORDER: Final[tuple[Pass | Step, ...]] = (
    pruning.EMPTY_JOBS,
    pruning.EMPTY_TICKETS,
    *(step for step in STEPS if step.content),
    _RUNS,
    pruning.DELETE_JOBS,
    pruning.DELETE_TICKETS,
    *(step for step in STEPS if not step.content and step is not _RUNS),
)


class Pruning:
    """Prunes. Any number may at once."""

    def __init__(self, *, engine: Engine, forget: Forget) -> None:
        self._engine = engine
        self._forget = forget

    def preview(self, *, content_days: int, records_days: int) -> Pruned:
        """What would go now, and why the rest of what is old enough stays. Nothing is done."""
        found = Pruned()
        with self._engine.connect() as connection:
            cutoffs = Cutoffs.at(
                ledger.now(connection), content_days=content_days, records_days=records_days
            )
        for one in _ORDER:
            for weighed in self._weigh(one, cutoffs):
                found = found.plus(weighed)
        return found

    def run(
        self,
        *,
        content_days: int,
        records_days: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Pruned:
        """Prune all that is due by now; `progress` hears how many more things have gone."""
        done = Pruned()
        with self._engine.connect() as connection:
            cutoffs = Cutoffs.at(
                ledger.now(connection), content_days=content_days, records_days=records_days
            )
        for one in _ORDER:
            for pruned in self._all(one, cutoffs):
                progress(pruned.total)
                done = done.plus(pruned)
        return done

    def _all(self, one: Pass | Step, cutoffs: Cutoffs) -> Iterator[Pruned]:
        place: Place | None = None
        while True:
            pruned, place, is_last = self.step(one, cutoffs, after=place)
            yield pruned
            if is_last:
                return

    def step(
        self, one: Pass | Step, cutoffs: Cutoffs, *, after: Place | None
    ) -> tuple[Pruned, Place | None, bool]:
        """One transaction: what went, where the next begins, and whether there is none."""
        with self._engine.begin() as connection:
            at = ledger.now(connection)
            if isinstance(one, Pass):
                page = pruning.take(
                    connection, one, cutoffs, after=after, at=at, forget=self._forget
                )
                return page.pruned, page.next, page.next is None
            aged = pruning_by_age.take(connection, one, cutoffs, at=at)
            return _counted(one, aged), None, aged.count < pruning_by_age.ROWS_MAX

    def _weigh(self, one: Pass | Step, cutoffs: Cutoffs) -> Iterator[Pruned]:
        if isinstance(one, Step):
            with self._engine.connect() as connection:
                yield _counted(one, pruning_by_age.weigh(connection, one, cutoffs))
            return
        # Records go with their content's rows: those that are not emptied yet will be by then.
        for emptied in (False, True) if one.wanted is Fate.RECORD else (False,):
            place: Place | None = None
            while True:
                with self._engine.connect() as connection:
                    page = pruning.weigh(connection, one, cutoffs, after=place, emptied=emptied)
                yield page.pruned
                place = page.next
                if place is None:
                    break


def _counted(step: Step, aged: pruning_by_age.Aged) -> Pruned:
    return Pruned(
        counts={step.kind: aged.count} if aged.count else {}, bytes_count=aged.bytes_count
    )


class Retention:
    """Prunes unattended, by the settings: some of each kind in each round, and goes on in the next."""

    def __init__(
        self,
        *,
        engine: Engine,
        pruning: Pruning,
        content_days: int,
        records_days: int,
        not_within: timedelta,
    ) -> None:
        """`not_within` is how long nothing is pruned after the first round: processes of the release before
        may run as long, and they know no pruned job."""
        self._engine = engine
        self._pruning = pruning
        self._days = {"content_days": content_days, "records_days": records_days}
        self._not_within = not_within
        self._began_at: datetime | None = None
        #: Where each pass goes on: what is held must not keep what is behind it from its turn.
        self._places: dict[Kind, Place | None] = {}

    def run(self) -> Pruned:
        """One round. Tells what went by its counts alone."""
        with self._engine.connect() as connection:
            now = ledger.now(connection)
        self._began_at = self._began_at or now
        if now - self._began_at < self._not_within:
            return Pruned()
        cutoffs = Cutoffs.at(now, **self._days)
        done = Pruned()
        for one in _ORDER:
            for _ in range(_PAGES_OF_ROUND_MAX):
                pruned, place, is_last = self._pruning.step(
                    one, cutoffs, after=self._places.get(one.kind)
                )
                done = done.plus(pruned)
                if isinstance(one, Pass):
                    self._places[one.kind] = place
                if is_last:
                    break
        if done.total:
            tell_pruned(done)
        return done


def tell_pruned(done: Pruned) -> None:
    """Say what went: counts, never content."""
    by_kind = Counter({kind.name.lower(): count for kind, count in done.counts.items()})
    tell(
        "pruned",
        pruned=dict(by_kind),
        held_count=sum(done.held.values()),
        unread_count=done.unread_count,
        bytes_count=done.bytes_count,
    )
