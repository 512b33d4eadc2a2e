"""Which accounts something may be sent for: those whose batches were all accounted for since this process
started, in the ledger that is still the same one. Closed until a sweep opens it."""

from collections.abc import Collection

from sqlalchemy import Connection

from app.ledger import sweeping
from app.ledger.sweeping import Witness

#: A provider and one of its accounts.
Account = tuple[str, str]


class Interlock:
    """What the sweep found, for those who pack and send. Safe to share between threads."""

    def __init__(self, accounts: Collection[Account]) -> None:
        """Closed for all of these accounts."""
        self._accounts = frozenset(accounts)
        self._open: dict[Account, Witness | None] = {}

    @property
    def closed(self) -> frozenset[Account]:
        """Accounts for which nothing is packed or sent now."""
        return self._accounts - self._open.keys()

    def open(self, account: Account, seen: Witness | None) -> None:
        """Everything of the account is accounted for; `seen` was in the ledger by then."""
        self._open[account] = seen

    def close(self) -> None:
        """For all: the ledger is not the one that was looked at."""
        self._open = {}

    def keeps(self, connection: Connection, account: Account) -> bool:
        """Whether, in this transaction, the ledger is still the one that the account was opened in."""
        if account not in self._open:
            return False
        return sweeping.remembers(connection, self._open[account])

    def is_forgotten(self, connection: Connection) -> bool:
        """Whether the ledger has lost something that was there when an account was opened."""
        return any(not sweeping.remembers(connection, seen) for seen in set(self._open.values()))
