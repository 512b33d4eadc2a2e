"""Where a ticket is: a closed set."""

from enum import StrEnum


class TicketState(StrEnum):
    """A ticket only moves forward, unless its completion is asked for again (a new generation)."""

    #: Waiting for its job to end.
    OPEN = "open"
    #: Its end is known; Celery has not been told yet.
    READY = "ready"
    #: Celery has been told.
    COMPLETED = "completed"
