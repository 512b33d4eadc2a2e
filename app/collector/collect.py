"""Look at batches under way, and bring in those that have ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from sqlalchemy import Engine

from app.collector import pausing
from app.collector.bring_in import BringIn
from app.ledger import engine as ledger
from app.ledger import giving_back, lanes, locks, submissions, turns
from app.ledger.submissions import Submission
from app.observe.log import tell
from app.policy.lifecycle import SubmissionState
from app.policy.polling import next_poll
from app.providers.port import (
    BatchReport,
    LaneClosed,
    NotFound,
    Phase,
    PollReply,
    Provider,
    Unreachable,
)

#: Batches that one run looks at; the next wake-up goes on.
_POLLS_MAX: Final = 200
_TOKEN_LIMIT: Final = "token_limit_exceeded"  # noqa: S105 - a provider's error code


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How often a batch is looked at."""

    shortest: timedelta
    longest: timedelta
    #: How long a paused lane rests before a look that succeeds resumes it.
    rest: timedelta = timedelta(minutes=1)
    #: How long a batch may not be found before it is the key that cannot see it.
    unseen: timedelta = timedelta(minutes=15)
    #: How long jobs rest whose model had more tokens enqueued than the provider allows.
    crowded: timedelta = timedelta(minutes=15)


class Collector:
    """Polls and collects. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        providers: Mapping[tuple[str, str], Provider],
        bring_in: BringIn,
        pace: Pace,
        wake_completion: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._providers = providers
        self._bring_in = bring_in
        self._pace = pace
        self._wake_completion = wake_completion

    def run(self) -> int:
        """Look at every batch that is due; how many were brought in whole."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            due = submissions.to_poll(connection, at=now, limit=_POLLS_MAX)
        with turns.in_turn() as turn:
            return sum(turn(self._one, submission) for submission in due)

    def _one(self, submission: Submission) -> bool:
        provider = self._providers.get((submission.provider, submission.account))
        with locks.only_one(self._engine, f"submission:{submission.id}") as mine:
            current = self._still_open(submission) if mine else None
            if current is None:
                return False
            if provider is None or current.provider_batch_id is None:
                self._later(current, "no key is configured for this account", None)
                return False
            return self._act(current, provider, self._ask(current, provider))

    def _ask(self, submission: Submission, provider: Provider) -> PollReply:
        """How the batch is; before, once, that it should end, where nobody wants anything of it any more.

        Killed in between, it is asked to end again: that changes nothing. A batch that only its results
        can prove to be ours is left alone.
        """
        assert submission.provider_batch_id is not None
        reply = provider.poll(submission.provider_batch_id)
        running = isinstance(reply, BatchReport) and reply.phase is Phase.RUNNING
        wished = submission.cancel_requested_at is not None and submission.proof is not None
        if not (running and wished) or submission.cancelled_at is not None:
            return reply
        reply = provider.cancel(submission.provider_batch_id)
        if isinstance(reply, BatchReport):
            with self._engine.begin() as connection:
                submissions.note(connection, submission.id, cancelled_at=ledger.now(connection))
            tell(
                "batch_cancelled",
                submission_id=str(submission.id),
                provider=submission.provider,
                provider_batch_id=submission.provider_batch_id,
            )
        return reply

    def _still_open(self, submission: Submission) -> Submission | None:
        """As it is now: another batch may have been proven to be its own since it was due."""
        with self._engine.begin() as connection:
            current = submissions.find(connection, submission.id)
        return current if current and current.state is SubmissionState.ACCEPTED else None

    def _act(self, submission: Submission, provider: Provider, reply: PollReply) -> bool:
        match reply:
            case BatchReport():
                return self._reported(submission, provider, reply)
            case NotFound():
                # Known to flap right after the create and in mid-life: never proof of absence.
                self._not_found(submission)
                self._later(submission, "the provider does not find the batch", None)
            case Unreachable():
                self._later(submission, reply.reason, reply.retry_after_s)
            case LaneClosed():
                self._pause(submission, reply)
                self._later(submission, f"{reply.code}: {reply.message}", None)
            case _:
                assert_never(reply)
        return False

    def _not_found(self, submission: Submission) -> None:
        """A batch that was made and stays away: the key is another workspace's, or project's, by now."""
        seen_at = submission.observed_at or submission.accepted_at or submission.created_at
        with self._engine.connect() as connection:
            unseen = ledger.now(connection) - seen_at
        if unseen >= self._pace.unseen:
            message = (
                f"batch {submission.provider_batch_id} was made with this account and its key no longer "
                "sees it: is the key another workspace's?"
            )
            self._pause(submission, LaneClosed(code="batch_not_found", message=message))

    def _pause(self, submission: Submission, reply: LaneClosed) -> None:
        """A key that may not see the batch may not make another; the next good look resumes the lane."""
        with self._engine.begin() as connection:
            paused = pausing.pause(connection, submission, reply, at=ledger.now(connection))
        if paused:
            remedy = "mend the account's key; the lane resumes when it works, and no job has failed"
            pausing.tell_paused(submission, reply, remedy=remedy)

    def _resume(self, submission: Submission) -> None:
        with self._engine.begin() as connection:
            resumed = lanes.resume(
                connection,
                provider=submission.provider,
                account=submission.account,
                at=ledger.now(connection),
                rested=self._pace.rest,
            )
        if resumed:
            tell("lane_resumed", provider=submission.provider, account=submission.account)

    def _reported(self, submission: Submission, provider: Provider, report: BatchReport) -> bool:
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            submissions.note(
                connection,
                submission.id,
                provider_status=report.status,
                provider_total=report.total,
                provider_done=report.done,
                observed_at=now,
                expires_at=report.expires_at,
                ended_at=report.ended_at,
                poll_at=now + self._next_look(submission, now),
            )
        self._resume(submission)
        _tell_of(submission, report, at=now)
        match report.phase:
            case Phase.RUNNING:
                return False
            case Phase.VOID:
                self._void(submission, report)
                self._wake_completion()
                return False
            case Phase.ENDED:
                whole = self._bring_in.run(submission, provider, report)
                self._wake_completion()
                return whole
            case _:
                assert_never(report.phase)

    def _void(self, submission: Submission, report: BatchReport) -> None:
        """The provider refused the batch in validation: nothing ran, nothing was billed."""
        if report.blameless is not None:
            self._bring_in.end_unrun(submission, report.blameless)
            tell("void", warning=True, submission_id=str(submission.id), code=report.blameless.code)
            return
        first = report.errors[0] if report.errors else None
        code = first.code if first else "validation_failed"
        message = first.message if first else f"the provider says {report.status} and no reason"
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            if code == _TOKEN_LIMIT:
                ceiling = lanes.lower_ceiling(
                    connection,
                    provider=submission.provider,
                    account=submission.account,
                    model=submission.model,
                )
                message = f"{message} (no more than {ceiling:,} tokens are enqueued from now on)"
                ready_at = now + self._pace.crowded
                giving_back.give_back(
                    connection, submission, reason=message, ready_at=ready_at, at=now
                )
            else:
                numbers = [error.line for error in report.errors if error.line is not None]
                giving_back.refused(
                    connection,
                    submission,
                    to=SubmissionState.VOID,
                    code=code,
                    message=message,
                    at=now,
                    bad=giving_back.lines(connection, submission.pack_id, numbers),
                )
        tell("void", warning=True, submission_id=str(submission.id), code=code)

    def _later(self, submission: Submission, reason: str, retry_after_s: float | None) -> None:
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            wait = self._wait(now - submission.created_at, retry_after_s)
            submissions.note(connection, submission.id, last_error=reason, poll_at=now + wait)
        tell("poll_failed", warning=True, submission_id=str(submission.id), reason=reason)

    def _next_look(self, submission: Submission, now: datetime) -> timedelta:
        """One that was told to end ends soon, whatever its age."""
        if submission.cancel_requested_at is not None:
            return self._pace.shortest
        return self._wait(now - submission.created_at)

    def _wait(self, age: timedelta, retry_after_s: float | None = None) -> timedelta:
        return next_poll(
            age,
            shortest=self._pace.shortest,
            longest=self._pace.longest,
            retry_after_s=retry_after_s,
        )


def _tell_of(submission: Submission, report: BatchReport, *, at: datetime) -> None:
    """Each look for whoever looks closely, and once that the provider is done."""
    age = at - (submission.accepted_at or submission.created_at)
    told: dict[str, Any] = {
        "submission_id": str(submission.id),
        "provider": submission.provider,
        "provider_batch_id": submission.provider_batch_id,
        "model": submission.model,
        "status": report.status,
        "done_count": report.done,
        "total_count": report.total,
        "age_s": round(age.total_seconds(), 1),
    }
    if report.phase is Phase.ENDED and submission.provider_status != report.status:
        tell("batch_ended", **told)
    else:
        tell("looked_at", debug=True, **told)
