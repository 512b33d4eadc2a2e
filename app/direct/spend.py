"""Keep direct calls within what their account may spend in a day."""

import threading
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from app.ledger import engine as ledger
from app.ledger import spending
from app.observe.log import tell
from app.policy.admission import JobDraft
from app.policy.spending import DailyLimits


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was counted for a call before it was made, and when; nothing where nothing was."""

    nano_usd: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OverLimit:
    """The account may not spend as much today, as far as is known; nothing was counted."""

    reason: str


class SpendGuard:
    """Reserves what calls may cost. Shared by all threads of a worker."""

    def __init__(self, *, engine: Engine, daily_limits: DailyLimits) -> None:
        self._engine = engine
        self._daily_limits = daily_limits
        self._lock = threading.Lock()
        #: What each account had left when the ledger last said so.
        self._left: dict[tuple[str, str], int] = {}

    def take(self, draft: JobDraft) -> Reservation | OverLimit:
        """Reserve the call's ceiling, where the limit allows it.

        A ledger that is down is no reason to make a user wait: calls go on within what was last known
        to be left, counted in this process alone.
        """
        limit = self._daily_limits.get((draft.provider, draft.account))
        if limit is None:
            return Reservation()
        try:
            return self._reserve(draft, limit)
        except DBAPIError:
            tell("ledger_down", warning=True, where="spend")
            if self._may_go_on(draft):
                return Reservation()
            return OverLimit(
                f"the ledger does not answer, and of {_whose(draft)}'s daily limit nothing is known to be left"
            )

    def give_back(self, draft: JobDraft, reservation: Reservation) -> None:
        """Free what a definite no left unused. Where the ledger is down it stays counted."""
        if reservation.at is None:
            return
        try:
            with self._engine.begin() as connection:
                spending.add(
                    connection,
                    provider=draft.provider,
                    account=draft.account,
                    nano_usd=-reservation.nano_usd,
                    at=reservation.at,
                )
        except DBAPIError:
            tell("ledger_down", warning=True, where="spend")

    def _reserve(self, draft: JobDraft, limit: int) -> Reservation | OverLimit:
        amount = draft.ceiling_nano_usd
        with self._engine.begin() as connection:
            at = ledger.now(connection)
            left = spending.take(
                connection,
                provider=draft.provider,
                account=draft.account,
                nano_usd=amount,
                limit_nano_usd=limit,
                at=at,
            )
        with self._lock:
            self._left[draft.provider, draft.account] = max(left, 0)
        if left >= 0:
            return Reservation(amount, at)
        return OverLimit(f"{_whose(draft)} may spend no more today (UTC)")

    def _may_go_on(self, draft: JobDraft) -> bool:
        with self._lock:
            left = self._left.get((draft.provider, draft.account), 0) - draft.ceiling_nano_usd
            if left >= 0:
                self._left[draft.provider, draft.account] = left
        return left >= 0


def _whose(draft: JobDraft) -> str:
    return f"account {draft.account!r} at {draft.provider}"
