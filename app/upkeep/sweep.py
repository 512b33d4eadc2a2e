"""The periodic look that finds what lost wake-ups, restarts and slow batches leave behind."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

from sqlalchemy import Engine

from app.ledger import changing, expiring, redelivery, revoking, submissions, tickets
from app.ledger import engine as ledger
from app.observe.log import tell
from unhurried.contract import REDIS_LIFETIME_S

#: What was published is remembered longer than anything is told again.
_LONGER: Final = timedelta(days=1)


class Chords(Protocol):
    """Keeps the counters of open chords alive."""

    def refresh_chords(self, group_ids: Sequence[str]) -> None:
        """Extend the life of these chords' keys."""
        ...


class Upkeep:
    """Sweeps. Safe to repeat and to run twice at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        chords: Chords,
        sweep_chords: Callable[[], int],
        sweep_direct_records: Callable[[], int],
        take_in_pick_ups: Callable[[], int],
        count: Callable[[], None],
        prune: Callable[[], object],
    ) -> None:
        self._engine = engine
        self._chords = chords
        self._sweep_chords = sweep_chords
        self._sweep_direct_records = sweep_direct_records
        self._take_in_pick_ups = take_in_pick_ups
        self._count = count
        self._prune = prune

    def run(self) -> None:
        """One round of everything."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            expired = expiring.expire(connection, at=now)
            readied = tickets.sweep(connection, at=now)
            chords = tickets.open_chords(connection)
            before = now - timedelta(seconds=REDIS_LIFETIME_S) - _LONGER
            redelivery.prune(connection, before=before)
            changing.drop_unwanted(connection, at=now)
            submissions.note_unwanted(connection, at=now)
            revoking.prune(connection, at=now)
        self._chords.refresh_chords(chords)
        mended = self._sweep_chords()
        recorded = self._sweep_direct_records()
        picked_up = self._take_in_pick_ups()
        if expired:
            tell("expired", warning=True, jobs_count=expired)
        if picked_up:
            tell("picked_up", results_count=picked_up)
        self._count()
        tell(
            "swept",
            expired_count=expired,
            tickets_count=readied,
            chords_count=len(chords),
            mended_count=mended,
            records_count=recorded,
            pick_ups_count=picked_up,
        )
        self._prune()
