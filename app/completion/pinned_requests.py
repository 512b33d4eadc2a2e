"""A direct call as its worker holds it: with the canvas that completion would publish for a ticket.

Celery publishes what follows a direct call, from several places: the tracer, or the worker itself where a call
was revoked or has expired. All of them read the message that is pinned here.
"""

from contextlib import suppress
from typing import Any, Final

from app.completion import embedded
from app.observe.quiet_tasks import QuietRequest

#: A canvas that Celery cannot read either: it says so where it publishes, and the call's task fails. What is
#: raised while a message is received ends the whole worker.
_UNREADABLE: Final = (AttributeError, KeyError, RecursionError, TypeError, ValueError)


class PinnedRequest(QuietRequest):
    """A message of a direct call."""

    def __init__(
        self,
        message: Any,
        *,
        body: Any = None,
        headers: Any = None,
        decoded: bool = False,
        **others: Any,
    ) -> None:
        """Raises what Celery's own does, and nothing for a canvas."""
        headers = message.headers if headers is None else headers
        args_kwargs_embed = body if decoded else message.payload
        with suppress(*_UNREADABLE):
            args, kwargs, embed = args_kwargs_embed
            pinned = embedded.pinned_at_once(embed or {}, headers, asked=(args, kwargs))
            body, decoded = (args, kwargs, pinned), True
        super().__init__(message, body=body, headers=headers, decoded=decoded, **others)


#: Celery wants it by its name, since a worker alone needs what it imports.
NAME: Final = f"{__name__}:{PinnedRequest.__name__}"
