"""Keeps the ledger's counters small, and counts what happens by time passing alone."""

from datetime import timedelta
from typing import Final

from sqlalchemy import Engine

from app.ledger import depths, expired_unread, measures
from app.ledger import engine as ledger

#: Tallies are folded in pieces, so many in a round: a backlog of a million is gone in one.
_FOLDS_MAX: Final = 100
#: Hours of expired results that one round looks at: a week without upkeep is caught up with in ten.
_HOURS_MAX: Final = 24


class Counting:
    """Safe to repeat, and to run twice at once. What a round leaves is there in the next one."""

    def __init__(self, *, engine: Engine, result_lifetime: timedelta) -> None:
        self._engine = engine
        self._result_lifetime = result_lifetime

    def run(self) -> None:
        """One round."""
        for _ in range(_HOURS_MAX):
            with self._engine.begin() as connection:
                at = ledger.now(connection)
                if expired_unread.count(connection, at=at, lifetime=self._result_lifetime):
                    break
        with self._engine.begin() as connection:
            depths.record(connection, at=ledger.now(connection))
        for _ in range(_FOLDS_MAX):
            with self._engine.begin() as connection:
                if measures.fold(connection) < measures.FOLD_MAX:
                    return
