"""Where a ticket is: a closed set."""

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
    }
)
