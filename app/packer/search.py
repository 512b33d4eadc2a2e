"""Look for batches whose create got no clear reply: adopt, or prove absent. Never send again on a guess.

Each look is one complete listing, decided on purely. Everything may be repeated, killed anywhere and run
twice at once: the moves are guarded by state.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from sqlalchemy import Connection, Engine

from app.ledger import engine as ledger
from app.ledger import locks, searching, strays, submissions, turns
from app.ledger.searching import Proof, Unknown
from app.observe.log import tell
from app.packer.whose import Whose
from app.policy.names import Mark, deployment_tag
from app.policy.searching import (
    CLOCKS_APART,
    Adopt,
    DeclareAbsent,
    Doubt,
    LookAgain,
    NoteAbsent,
    Patience,
    Prove,
    Step,
    search_step,
)
from app.providers.port import (
    BatchReport,
    Gone,
    LaneClosed,
    Listing,
    Provider,
    Unreachable,
)

#: Providers show a batch for longer than this.
_WITNESS_KEPT: Final = timedelta(days=25)
#: Submissions that one run looks for; the next wake-up goes on.
_LOOKS_MAX: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Rhythm:
    """How long a create may take to show at each provider, and the time between looks."""

    settle: Mapping[str, timedelta]
    #: Between two looks, and so before absence is certain.
    again: timedelta


class Search:
    """Finds what became of submissions that are `unknown`."""

    def __init__(
        self,
        *,
        engine: Engine,
        providers: Mapping[tuple[str, str], Provider],
        whose: Whose,
        deployment: str,
        rhythm: Rhythm,
    ) -> None:
        self._engine = engine
        self._providers = providers
        self._whose = whose
        self._deployment = deployment_tag(deployment)
        self._rhythm = rhythm

    def run(self) -> int:
        """Look for every submission whose look is due; how many were adopted or declared absent."""
        with self._engine.begin() as connection:
            unknown = searching.due(connection, at=ledger.now(connection), limit=_LOOKS_MAX)
        with turns.in_turn() as turn:
            return sum(turn(self._one, one) for one in unknown)

    def _one(self, unknown: Unknown) -> bool:
        submission = unknown.submission
        provider = self._providers.get((submission.provider, submission.account))
        # A name of its own: the sender of a create that is still under way holds the submission's.
        with locks.only_one(self._engine, f"search:{submission.workspace}") as mine:
            if not mine or provider is None:
                return False
            listing = provider.list_batches(
                newer_than=unknown.head_id, since=unknown.sent_at - CLOCKS_APART
            )
            match listing:
                case Listing():
                    return self._act(unknown, provider, self._decide(unknown, listing))
                case Unreachable():
                    self._later(unknown, listing.reason)
                case LaneClosed():
                    self._later(unknown, f"{listing.code}: {listing.message}")
                case _:
                    assert_never(listing)
            return False

    def _decide(self, unknown: Unknown, listing: Listing) -> Step:
        submission = unknown.submission
        doubt = Doubt(
            mark=Mark(self._deployment, submission.token),
            jobs_count=submission.jobs_count,
            file_id=submission.file_id,
            not_after=unknown.not_after,
            absent_noted_at=unknown.absent_noted_at,
        )
        ids = [batch.provider_batch_id for batch in listing.batches]
        with self._engine.begin() as connection:
            return search_step(
                doubt,
                listing.batches,
                taken=searching.taken(connection, submission.provider, ids),
                now=ledger.now(connection),
                patience=Patience(
                    settle=self._rhythm.settle[submission.provider], again=self._rhythm.again
                ),
            )

    def _act(self, unknown: Unknown, provider: Provider, step: Step) -> bool:
        match step:
            case Adopt():
                return self._adopt(unknown, step)
            case Prove():
                return self._prove(unknown, provider, step)
            case LookAgain():
                self._later(unknown, step.reason)
            case NoteAbsent():
                if self._sees_its_own(unknown, provider):
                    self._note_absent(unknown, provider, step)
            case DeclareAbsent():
                return self._sees_its_own(unknown, provider) and self._declare_absent(unknown)
            case _:
                assert_never(step)
        return False

    def _adopt(self, unknown: Unknown, found: Adopt) -> bool:
        submission = unknown.submission
        proof = Proof.MARK if found.proven else None
        with self._moment() as (connection, now):
            adopted = searching.adopt(
                connection, submission, found.provider_batch_id, proof=proof, at=now
            )
            for batch_id in found.surplus:
                reason = f"submission {submission.token} became two batches"
                strays.note(connection, submission, batch_id, ours=True, reason=reason, at=now)
        if adopted:
            self._tell_adopted(unknown, found.provider_batch_id, proof)
        return adopted

    def _prove(self, unknown: Unknown, provider: Provider, step: Prove) -> bool:
        for batch_id in step.provider_batch_ids:
            marks = self._marks(unknown, provider, batch_id)
            if marks is None:
                self._later(unknown, f"the results of {batch_id} cannot be read yet")
                continue
            # By the token alone: it is of this submission whatever the deployment was called when it was sent.
            ours = any(mark.token == unknown.submission.token for mark in marks)
            if not ours and any(mark.deployment == self._deployment for mark in marks):
                self._later(unknown, f"{batch_id} is another create's: the sweep accounts for it")
                continue
            with self._moment() as (connection, now):
                if not ours:
                    strays.note(
                        connection,
                        unknown.submission,
                        batch_id,
                        ours=False,
                        reason="its results carry none of our ids",
                        at=now,
                    )
                    continue
                adopted = searching.adopt(
                    connection, unknown.submission, batch_id, proof=Proof.RESULTS, at=now
                )
            if adopted:
                self._tell_adopted(unknown, batch_id, Proof.RESULTS)
            return adopted
        return False

    def _marks(self, unknown: Unknown, provider: Provider, batch_id: str) -> frozenset[Mark] | None:
        """Whose an ended batch's results say that they are; None where nobody can say."""
        with self._engine.connect() as connection:
            now = ledger.now(connection)
        return self._whose.marks(provider, batch_id, endpoint=unknown.submission.endpoint, now=now)

    def _sees_its_own(self, unknown: Unknown, provider: Provider) -> bool:
        """Whether the key still sees where the batch would be; a later look where it does not, or cannot say.

        Another workspace's lists none of ours, and says of its input file that there is none.
        """
        submission = unknown.submission
        with self._moment() as (connection, now):
            own = searching.witness(connection, submission, after=now - _WITNESS_KEPT)
        reply = provider.poll(own) if own is not None else None
        if reply is None or isinstance(reply, BatchReport):
            return True
        self._later(unknown, f"is the key another workspace's? batch {own} of the account: {reply}")
        return False

    def _note_absent(self, unknown: Unknown, provider: Provider, step: NoteAbsent) -> None:
        if step.delete_file is not None:
            gone = provider.delete_file(step.delete_file)
            if not isinstance(gone, Gone):
                self._later(unknown, f"its input file cannot be deleted yet: {gone}")
                return
        with self._moment() as (connection, now):
            submissions.note(
                connection,
                unknown.submission.id,
                absent_noted_at=now,
                poll_at=now + self._rhythm.again,
                last_error="not found after the settle time; looked for once more",
            )
        tell(
            "absence_noted",
            submission_id=str(unknown.submission.id),
            provider=unknown.submission.provider,
            file_deleted=step.delete_file is not None,
        )

    def _declare_absent(self, unknown: Unknown) -> bool:
        with self._moment() as (connection, now):
            moved = searching.declare_absent(connection, unknown.submission, at=now)
        if moved:
            tell(
                "declared_absent",
                submission_id=str(unknown.submission.id),
                provider=unknown.submission.provider,
                jobs_count=unknown.submission.jobs_count,
            )
        return moved

    def _later(self, unknown: Unknown, reason: str) -> None:
        with self._moment() as (connection, now):
            submissions.note(
                connection,
                unknown.submission.id,
                last_error=reason,
                poll_at=now + self._rhythm.again,
            )
        tell(
            "still_unknown",
            submission_id=str(unknown.submission.id),
            provider=unknown.submission.provider,
            reason=reason,
        )

    def _tell_adopted(self, unknown: Unknown, batch_id: str, proof: Proof | None) -> None:
        tell(
            "adopted",
            submission_id=str(unknown.submission.id),
            provider=unknown.submission.provider,
            provider_batch_id=batch_id,
            proof=str(proof) if proof else "none yet",
            jobs_count=unknown.submission.jobs_count,
        )

    @contextmanager
    def _moment(self) -> Iterator[tuple[Connection, datetime]]:
        """A transaction and the ledger's time in it."""
        with self._engine.begin() as connection:
            yield connection, ledger.now(connection)
