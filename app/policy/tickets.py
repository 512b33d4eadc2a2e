"""Where a ticket is: a closed set; and an end that is its own, whatever becomes of its job."""

import json
from enum import StrEnum
from typing import Final


class TicketState(StrEnum):
    """A ticket only moves forward, unless its completion is asked for again (a new generation)."""

    #: Waiting for its job to end.
    OPEN = "open"
    #: Its end is known; Celery has not been told yet.
    READY = "ready"
    #: Celery has been told.
    COMPLETED = "completed"


#: Every change of a ticket's state there is; the database refuses any other.
TICKET_MOVES: Final = frozenset(
    {
        (TicketState.OPEN, TicketState.READY),
        (TicketState.READY, TicketState.COMPLETED),
        # Redis has forgotten: told again, under the next generation.
        (TicketState.COMPLETED, TicketState.READY),
        # A person has its job tried again.
        (TicketState.COMPLETED, TicketState.OPEN),
    }
)

#: The code of an end that Celery knows as REVOKED.
REVOKED: Final = "revoked"


def ended_with(code: str, message: str, *, retryable: bool = False) -> bytes:
    """A ready-made end without an answer, as the ledger keeps it beside a ticket."""
    error = {"code": code, "message": message, "retryable": retryable}
    return json.dumps({"error": error}).encode()
