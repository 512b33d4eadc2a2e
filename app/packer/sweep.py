"""Account for every batch of a workspace before anything is sent to it, and now and then afterwards.

After a start nobody knows whether the ledger is the one that it was: restored from a backup, it has
forgotten batches that hold the very jobs that wait. So nothing is packed or sent for an account until
every batch there, since the last time that all were, is a submission's, a stray, or proven somebody
else's. Later looks find creates that landed after they had been given up.

Only what provably is ours is touched. Everything may be repeated, killed anywhere and run twice at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from sqlalchemy import Connection, Engine

from app.ledger import engine as ledger
from app.ledger import lanes, locks, searching, strays, sweeping, turns
from app.ledger.searching import Proof
from app.ledger.strays import Found
from app.observe.log import tell
from app.packer.interlock import Account, Interlock
from app.packer.whose import Whose
from app.policy.names import Mark, deployment_tag
from app.policy.searching import CLOCKS_APART, ListedBatch
from app.policy.sweeping import REASONS, Unmarked, Verdict, held_because, mark_of
from app.providers.port import LaneClosed, Listing, Provider, Unreachable

_REMEDY: Final = (
    "nothing is sent for the account until then, and no job fails; a workspace of its own never waits for "
    "other people's batches"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rounds:
    """How often a workspace is looked at: while something is open there, and otherwise."""

    held: timedelta
    clean: timedelta


class Sweep:
    """Looks at whole workspaces, and opens the interlock for those that are accounted for."""

    def __init__(
        self,
        *,
        engine: Engine,
        providers: Mapping[Account, Provider],
        interlock: Interlock,
        whose: Whose,
        deployment: str,
        rounds: Rounds,
    ) -> None:
        self._engine = engine
        self._providers = providers
        self._interlock = interlock
        self._whose = whose
        self._deployment = deployment_tag(deployment)
        self._rounds = rounds
        self._due_at: dict[Account, datetime] = {}
        #: Accounts whose lane is paused because this could not list their batches.
        self._paused: set[Account] = set()

    def run(self) -> int:
        """Look at every account whose look is due; for how many something may be sent now."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            forgotten = self._interlock.is_forgotten(connection)
        if forgotten:
            tell("ledger_restored", warning=True, remedy="every workspace is looked at anew first")
            self._interlock.close()
            self._due_at.clear()
        with turns.in_turn() as turn:
            for account, provider in self._providers.items():
                if self._due_at.get(account, now) <= now:
                    turn(self._one, account, provider)
        return len(self._providers) - len(self._interlock.closed)

    def _one(self, account: Account, provider: Provider) -> None:
        with locks.only_one(self._engine, f"sweep:{'/'.join(account)}") as mine:
            if not mine:
                return
            with self._engine.begin() as connection:
                began_at = ledger.now(connection)
                seen = sweeping.witness(connection)
                since = sweeping.accounted_until(
                    connection, provider=account[0], account=account[1]
                )
            listing = provider.list_batches(newer_than=None, since=since - CLOCKS_APART)
            match listing:
                case Listing():
                    self._resume(account)
                    reason = self._account_for(account, provider, listing)
                case Unreachable():
                    reason = f"its batches cannot be listed: {listing.reason}"
                case LaneClosed():
                    reason = f"its batches cannot be listed: {listing.code}: {listing.message}"
                    self._pause(account, listing)
                case _:
                    assert_never(listing)
            self._conclude(account, began_at, reason)
            if reason is None:
                self._interlock.open(account, seen)

    def _account_for(self, account: Account, provider: Provider, listing: Listing) -> str | None:
        """Place every batch that nobody stands behind; why the account stays closed, if it does."""
        ids = [batch.provider_batch_id for batch in listing.batches]
        with self._engine.begin() as connection:
            taken = searching.taken(connection, account[0], ids)
            files = sweeping.tokens_of_files(
                connection,
                provider=account[0],
                file_ids=[batch.file_id for batch in listing.batches if batch.file_id],
            )
            now = ledger.now(connection)
        # Reading results may take a while, so it is done before the transaction.
        marks = [
            (batch, self._mark(provider, batch, files, now))
            for batch in listing.batches
            if batch.provider_batch_id not in taken
        ]
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            found = [
                (batch, self._place(connection, account, batch, mark, now)) for batch, mark in marks
            ]
            unproven = [
                batch.provider_batch_id for batch, what in found if what is Verdict.UNPROVEN
            ]
            # A reply may have come meanwhile to the create that made one of them.
            known = searching.taken(connection, account[0], unproven)
            wanted = sweeping.wanted_count(connection, provider=account[0])
        self._tell_orphans(account, found)
        return held_because(
            unproven=[one for one in unproven if one not in known], wanted_count=wanted
        )

    def _mark(
        self, provider: Provider, batch: ListedBatch, files: Mapping[str, str], now: datetime
    ) -> Mark | Unmarked:
        if batch.mark is not None:
            return batch.mark
        if batch.file_id is not None and batch.file_id in files:
            return Mark(self._deployment, files[batch.file_id])
        if provider.uploads or batch.endpoint is None:
            return Unmarked.STRANGER
        if not batch.ended:
            return Unmarked.UNPROVEN
        marks = self._whose.marks(
            provider, batch.provider_batch_id, endpoint=batch.endpoint, now=now
        )
        if marks is None:
            return Unmarked.UNPROVEN
        return mark_of(marks, deployment=self._deployment)

    def _place(
        self,
        connection: Connection,
        account: Account,
        batch: ListedBatch,
        mark: Mark | Unmarked,
        now: datetime,
    ) -> Verdict:
        submission, found = sweeping.named_by(connection, mark, deployment=self._deployment)
        match found:
            case Verdict.ADOPT:
                assert submission is not None
                proof = Proof.MARK if batch.mark is not None else Proof.RESULTS
                searching.entrust(
                    connection, submission, batch.provider_batch_id, proof=proof, at=now
                )
            case Verdict.SURPLUS | Verdict.FORGOTTEN:
                if not self._note(connection, account, batch, found, now):
                    return Verdict.UNDER_WAY  # its submission has taken it since it was listed
            case Verdict.STRANGER if batch.mark is None and batch.file_id is None:
                # Nothing in the list says so; nobody need read its results again.
                self._note(connection, account, batch, found, now)
            case _:
                pass
        return found

    def _tell_orphans(self, account: Account, found: Sequence[tuple[ListedBatch, Verdict]]) -> None:
        for batch, what in found:
            if what in (Verdict.ADOPT, Verdict.SURPLUS, Verdict.FORGOTTEN):
                tell(
                    "orphan_found",
                    warning=True,
                    provider=account[0],
                    account=account[1],
                    provider_batch_id=batch.provider_batch_id,
                    verdict=str(what),
                )

    def _note(
        self,
        connection: Connection,
        account: Account,
        batch: ListedBatch,
        found: Verdict,
        now: datetime,
    ) -> bool:
        return strays.note(
            connection,
            Found(account[0], account[1], batch.endpoint or ""),
            batch.provider_batch_id,
            ours=found is not Verdict.STRANGER,
            reason=REASONS[found],
            at=now,
            created_at=batch.created_at,
            wanted=found is Verdict.FORGOTTEN,
        )

    def _pause(self, account: Account, reply: LaneClosed) -> None:
        """A key that may not list batches may not make one; the next list resumes what this pauses."""
        self._paused.add(account)
        with self._engine.begin() as connection:
            paused = lanes.pause(
                connection,
                provider=account[0],
                account=account[1],
                reason=f"{reply.code}: {reply.message}",
                at=ledger.now(connection),
            )
        if paused:
            tell(
                "lane_paused",
                warning=True,
                provider=account[0],
                account=account[1],
                code=reply.code,
                remedy="mend the account's key; the lane resumes when it works, and no job has failed",
            )

    def _resume(self, account: Account) -> None:
        if account not in self._paused:
            return
        self._paused.discard(account)
        with self._engine.begin() as connection:
            resumed = lanes.resume(
                connection,
                provider=account[0],
                account=account[1],
                at=ledger.now(connection),
            )
        if resumed:
            tell("lane_resumed", provider=account[0], account=account[1])

    def _conclude(self, account: Account, began_at: datetime, reason: str | None) -> None:
        wait = self._rounds.clean if reason is None else self._rounds.held
        self._due_at[account] = began_at + wait
        with self._engine.begin() as connection:
            is_new = sweeping.note(
                connection,
                provider=account[0],
                account=account[1],
                began_at=began_at,
                held_because=reason,
            )
        is_closed = account in self._interlock.closed
        if reason is None and is_closed:
            tell("lane_open", provider=account[0], account=account[1])
        elif reason is not None and is_new:
            tell(
                "lane_held",
                warning=True,
                provider=account[0],
                account=account[1],
                reason=reason,
                closed=is_closed,
                remedy=_REMEDY,
            )
