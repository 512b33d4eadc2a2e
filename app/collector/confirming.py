"""Whether the results of a batch that was adopted unproven are ours. If not, nothing of them is used."""

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from app.ledger import engine as ledger
from app.ledger import searching, sweeping
from app.ledger.submissions import Submission
from app.observe.log import tell
from app.policy.names import deployment_tag
from app.policy.reconciling import Owner, Survey, owner
from app.policy.sweeping import Verdict, mark_of


class NotTold(Exception):  # noqa: N818 - no error: a later look tells
    """Nothing says it yet, or it cannot be recorded now: a later look does."""

    def __init__(self, reason: str, *, was_read: bool) -> None:
        super().__init__(reason)
        #: Whether the results were read, and left it open.
        self.was_read = was_read


class Confirming:
    """Confirms batches, and disowns what turns out to be somebody else's."""

    def __init__(self, engine: Engine, *, deployment: str) -> None:
        self._engine = engine
        self._deployment = deployment_tag(deployment)

    def are_ours(self, submission: Submission, found: Survey, *, last_look: bool) -> bool:
        """Whether these results may be used now; recorded. Raises NotTold where only a later look tells."""
        whose = owner(found, requests=submission.jobs_count, last_look=last_look)
        if whose is Owner.UNCLEAR:
            raise NotTold("no line says whose batch it is", was_read=True)
        try:
            with self._engine.begin() as connection:
                if whose is Owner.OURS:
                    return searching.confirm(connection, submission)
                moved = self._disown(connection, submission, found)
        except IntegrityError:
            # The one open create of the workspace is another's just now.
            reason = "somebody else's batch; another create is open"
            raise NotTold(reason, was_read=False) from None
        if moved:
            tell(
                "disowned",
                warning=True,
                submission_id=str(submission.id),
                provider_batch_id=submission.provider_batch_id,
            )
        return False

    def _disown(self, connection: Connection, submission: Submission, found: Survey) -> bool:
        """It may be another submission's all the same: one that was given up before its batch came."""
        mark = mark_of(found.marks, deployment=self._deployment)
        named, what = sweeping.named_by(connection, mark, deployment=self._deployment)
        waits = what in (Verdict.ADOPT, Verdict.UNDER_WAY)
        return searching.disown(
            connection,
            submission,
            found=what,
            owner=named if waits else None,
            at=ledger.now(connection),
        )
