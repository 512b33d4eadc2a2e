"""Record what a provider said to a handing-over: each answer once, guarded by the submission's state."""

from datetime import datetime, timedelta
from typing import Final, assert_never

from sqlalchemy import Connection, Engine

from app.ledger import engine as ledger
from app.ledger import giving_back, lanes, searching, strays, submissions
from app.ledger.searching import Proof
from app.ledger.submissions import Submission
from app.observe.log import tell
from app.policy.lifecycle import SubmissionState
from app.policy.settling import backoff
from app.providers.port import (
    Accepted,
    Ambiguous,
    CreateReply,
    LaneClosed,
    NotTaken,
    RefusedForGood,
)

#: After the first refusal; it doubles with each further one, up to 15 minutes.
_BACKOFF: Final = timedelta(seconds=15)


class Answers:
    """Moves submissions by replies. `first_poll` is how soon a new batch is looked at."""

    def __init__(self, engine: Engine, *, first_poll: timedelta) -> None:
        self._engine = engine
        self._first_poll = first_poll

    def record(
        self,
        submission: Submission,
        reply: CreateReply | NotTaken | RefusedForGood | LaneClosed,
    ) -> bool:
        """Record a reply; whether the provider took the batch. Applied late, it changes nothing."""
        match reply:
            case Accepted():
                self._accepted(submission, reply)
                return True
            case NotTaken():
                self._not_taken(submission, reply)
            case RefusedForGood():
                self._refused(submission, reply)
            case LaneClosed():
                self._close_lane(submission, reply)
            case Ambiguous():
                self._unknown(submission, reply)
            case _:
                assert_never(reply)
        return False

    def _accepted(self, submission: Submission, reply: Accepted) -> None:
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            moved = submissions.advance(
                connection,
                submission.id,
                expected=(SubmissionState.SENDING, SubmissionState.UNKNOWN),
                to=SubmissionState.ACCEPTED,
                provider_batch_id=reply.provider_batch_id,
                proof=Proof.REPLY,
                provider_status=reply.status,
                accepted_at=now,
                observed_at=now,
                expires_at=reply.expires_at,
                poll_at=now + self._first_poll,
            )
            known = moved or self._is_its_own(
                connection, submission, reply.provider_batch_id, at=now
            )
            if not known:
                reason = "its reply came after it had been given up"
                strays.note(
                    connection,
                    submission,
                    reply.provider_batch_id,
                    ours=True,
                    reason=reason,
                    at=now,
                )
        tell(
            "submitted" if known else "stray_noted",
            warning=not known,
            submission_id=str(submission.id),
            provider=submission.provider,
            account=submission.account,
            model=submission.model,
            provider_batch_id=reply.provider_batch_id,
            jobs_count=submission.jobs_count,
            request_id=reply.request_id,
        )

    def _is_its_own(
        self, connection: Connection, submission: Submission, batch_id: str, *, at: datetime
    ) -> bool:
        """Whether a search adopted the very batch whose reply comes only now, or one that gives way to it."""
        current = submissions.find(connection, submission.id)
        if current is None or current.provider_batch_id == batch_id:
            return current is not None
        return current.is_on_trial and searching.entrust(
            connection, current, batch_id, proof=Proof.REPLY, at=at
        )

    def _not_taken(self, submission: Submission, reply: NotTaken) -> None:
        wait_s = reply.retry_after_s or backoff(submission.refusals + 1, _BACKOFF).total_seconds()
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            self._back(connection, submission, reply.reason, now + timedelta(seconds=wait_s))
        # Its code alone: what a provider says of a body may quote it. The ledger has the whole of it.
        code = reply.reason.partition(":")[0]
        tell("not_taken", submission_id=str(submission.id), reason=code, wait_s=wait_s)

    def _back(
        self, connection: Connection, submission: Submission, reason: str, not_before: datetime
    ) -> None:
        current = submissions.find(connection, submission.id)
        uploaded = current is not None and current.file_id is not None
        submissions.advance(
            connection,
            submission.id,
            expected=(
                SubmissionState.PLANNED,
                SubmissionState.UPLOADED,
                SubmissionState.SENDING,
            ),
            to=SubmissionState.UPLOADED if uploaded else SubmissionState.PLANNED,
            not_before=not_before,
            refusals=submission.refusals + 1,
            last_error=reason,
        )

    def _refused(self, submission: Submission, reply: RefusedForGood) -> None:
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            giving_back.refused(
                connection,
                submission,
                to=SubmissionState.REJECTED,
                code=reply.code,
                message=reply.message,
                at=now,
            )
        tell("refused", warning=True, submission_id=str(submission.id), code=reply.code)

    def _close_lane(self, submission: Submission, reply: LaneClosed) -> None:
        reason = f"{reply.code}: {reply.message}"
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            lanes.pause(
                connection,
                provider=submission.provider,
                account=submission.account,
                reason=reason,
                at=now,
            )
            self._back(connection, submission, reason, now)
        tell(
            "lane_paused",
            warning=True,
            provider=submission.provider,
            account=submission.account,
            code=reply.code,
            remedy="mend the account, then resume the lane; no job has failed",
        )

    def _unknown(self, submission: Submission, reply: Ambiguous) -> None:
        with self._engine.begin() as connection:
            submissions.advance(
                connection,
                submission.id,
                expected=SubmissionState.SENDING,
                to=SubmissionState.UNKNOWN,
                last_error=reply.reason,
            )
        tell("reply_lost", warning=True, submission_id=str(submission.id), reason=reply.reason)
