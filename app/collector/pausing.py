"""Pause the lane of an account that is closed, as its provider says of a batch or of a line, and tell it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from app.ledger import lanes
from app.ledger.submissions import Submission
from app.observe.log import tell
from app.policy.outcomes import Closed, Outcome
from app.providers.port import LaneClosed

#: How long a lane rests whose account has refused lines of a batch. Neither a create nor a look says whether
#: it is open again, so what goes before that may come back as it went.
CLOSED_FOR: Final = timedelta(minutes=15)


def pause(
    connection: Connection,
    submission: Submission,
    refusal: LaneClosed | Closed,
    *,
    at: datetime,
    rest: timedelta | None = None,
) -> bool:
    """Send nothing more for the batch's account; whether it was not paused before.

    For `rest` no look resumes it: an account without money is still looked at with success.
    """
    lane = {"provider": submission.provider, "account": submission.account}
    paused = lanes.pause(connection, **lane, reason=f"{refusal.code}: {refusal.message}", at=at)
    if rest is not None:
        lanes.rest(connection, **lane, until=at + rest)
    return paused


def closed(outcomes: Iterable[Outcome]) -> Closed | None:
    """What a closed account said to one of these lines; None where it took them all."""
    return next((one for one in outcomes if isinstance(one, Closed)), None)


def tell_paused(submission: Submission, refusal: LaneClosed | Closed, *, remedy: str) -> None:
    """Say that a lane is paused, once its pause is committed."""
    tell(
        "lane_paused",
        warning=True,
        provider=submission.provider,
        account=submission.account,
        code=refusal.code,
        remedy=remedy,
    )
