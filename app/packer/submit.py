"""Hand packs over to providers, each at most once.

Record the intent (commit, where the interlock is open) -> create (no transaction open, no retry) ->
record the answer (commit, guarded). A reply that was lost leaves the submission `unknown`: it is never repeated, but looked for.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from app.ledger import engine as ledger
from app.ledger import giving_back, locks, submissions, turns
from app.ledger.submissions import Submission
from app.observe.log import tell
from app.packer.answers import Answers
from app.packer.interlock import Interlock
from app.packer.spool import LackingError, Spool
from app.policy.lifecycle import SubmissionState
from app.policy.names import deployment_tag
from app.providers.attached import Attached
from app.providers.port import (
    Handover,
    LaneClosed,
    MarkUnreadError,
    NotFound,
    NotTaken,
    Provider,
    Unreachable,
)

#: Submissions that one run hands over; the next wake-up goes on.
_HANDOVERS_MAX: Final = 50
#: The first look at a new batch; most batches need minutes at least.
_FIRST_POLL_S: Final = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Spans:
    """How long an intent lives and how soon a batch is first looked at."""

    send_ttl: timedelta
    #: From the intent to the first byte; the rest of `send_ttl` is the create's.
    send_within: timedelta
    first_poll: timedelta = timedelta(seconds=_FIRST_POLL_S)


class Submitter:
    """Sends what is planned. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        providers: Mapping[tuple[str, str], Provider],
        spool_directory: Path,
        deployment: str,
        spans: Spans,
        interlock: Interlock,
        workspaces: Mapping[tuple[str, str], str] | None = None,
        attached: Attached,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._providers = providers
        self._deployment = deployment_tag(deployment)
        self._spool = Spool(engine, spool_directory, deployment=self._deployment, attached=attached)
        self._spans = spans
        self._interlock = interlock
        self._answers = Answers(engine, first_poll=spans.first_poll)
        #: Where accounts share one; each has its own otherwise.
        self._workspaces = workspaces or {}

    def run(self) -> int:
        """Hand over every submission that may go now; how many were accepted."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            lost = submissions.lose_replies(connection, at=now)
            giving_back.unpack_cancelled(connection, at=now)
            due = submissions.to_hand_over(
                connection, at=now, closed=self._interlock.closed, limit=_HANDOVERS_MAX
            )
        for submission_id in lost:
            tell("reply_lost", warning=True, submission_id=str(submission_id))
        with turns.in_turn() as turn:
            return sum(turn(self._one, submission) for submission in due)

    def _one(self, submission: Submission) -> bool:
        with locks.only_one(self._engine, f"submission:{submission.id}") as mine:
            if not mine:
                return False
            provider = self._providers.get((submission.provider, submission.account))
            if provider is None:
                self._answers.record(
                    submission, LaneClosed(code="no_key", message="no key is configured")
                )
                return False
            try:
                return self._hand_over(submission, provider)
            except LackingError as lacking:
                return self._lack(submission, lacking)

    def _hand_over(self, submission: Submission, provider: Provider) -> bool:
        with self._spool.body(submission, provider) as body:
            handover = self._prepare(submission, provider, body.path, body.sha256)
            started_s = self._monotonic()
            if handover is None or not self._intend(submission, provider, handover):
                return False
            # A process that slept here must not wake and send what others look for by now.
            if self._monotonic() - started_s > self._spans.send_within.total_seconds():
                return self._answers.record(submission, NotTaken(reason="too late to be sent"))
            reply = provider.create(handover)
        return self._answers.record(submission, reply)

    def _lack(self, submission: Submission, lacking: LackingError) -> bool:
        """Fail the jobs whose attachments are gone; the others go on in a pack of their own."""
        passing = [error for error in lacking.jobs.values() if error.passing]
        if passing:
            return self._answers.record(submission, NotTaken(reason=str(passing[0])))
        with self._engine.begin() as connection:
            giving_back.refused(
                connection,
                submission,
                to=SubmissionState.REJECTED,
                code="attachment_missing",
                message="attachments cannot be had",
                at=ledger.now(connection),
                bad={job: (error.code, str(error)) for job, error in lacking.jobs.items()},
            )
        tell(
            "attachments_missing",
            warning=True,
            submission_id=str(submission.id),
            jobs_count=len(lacking.jobs),
        )
        return False

    def _prepare(
        self, submission: Submission, provider: Provider, path: Path, sha256: str
    ) -> Handover | None:
        """Upload the body where the provider wants it first. Free, so it may happen twice."""
        file_id = submission.file_id
        if provider.uploads and file_id is None:
            reply = provider.upload(path, name=f"uh-{self._deployment}-{submission.token}.jsonl")
            if not isinstance(reply, str):
                self._answers.record(submission, reply)
                return None
            file_id = reply
            with self._engine.begin() as connection:
                moved = submissions.advance(
                    connection,
                    submission.id,
                    expected=SubmissionState.PLANNED,
                    to=SubmissionState.UPLOADED,
                    file_id=file_id,
                    sha256=sha256,
                )
            if not moved:
                return None
        return Handover(
            submission_id=submission.token,
            deployment=self._deployment,
            endpoint=submission.endpoint,
            requests_count=submission.jobs_count,
            sha256=sha256,
            path=path,
            file_id=file_id,
        )

    def _intend(self, submission: Submission, provider: Provider, handover: Handover) -> bool:
        """Commit that from here on the provider may have the batch; False where another is open."""
        try:
            head = provider.newest_batch_id()
        except MarkUnreadError as unread:
            self._answers.record(submission, _mark_unread(unread))
            return False
        try:
            with self._engine.begin() as connection:
                if not self._interlock.keeps(connection, (submission.provider, submission.account)):
                    return False
                # It came back unsent with a job that was cancelled meanwhile: the next run takes it apart.
                if giving_back.holds_cancelled(connection, submission.pack_id):
                    return False
                now = ledger.now(connection)
                return submissions.advance(
                    connection,
                    submission.id,
                    expected=(SubmissionState.PLANNED, SubmissionState.UPLOADED),
                    to=SubmissionState.SENDING,
                    workspace=self._workspaces.get(
                        (submission.provider, submission.account), submission.workspace
                    ),
                    head_id=head,
                    sha256=handover.sha256,
                    sent_at=now,
                    not_after=now + self._spans.send_ttl,
                )
        except IntegrityError:
            # The index that allows one open create a workspace. The next run tries again.
            tell("create_waits", submission_id=str(submission.id), workspace=submission.workspace)
            return False


def _mark_unread(unread: MarkUnreadError) -> NotTaken | LaneClosed:
    match unread.reply:
        case LaneClosed():
            return unread.reply
        case Unreachable():
            return NotTaken(reason=unread.reply.reason, retry_after_s=unread.reply.retry_after_s)
        case NotFound():
            return NotTaken(reason="the provider does not show its newest batch")
