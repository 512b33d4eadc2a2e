"""What both providers' streamed answers have in common: a deadline, and what a failure means."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import httpx2

from app.providers import reading, replies
from app.providers.port import Ambiguous, DirectReply, NotTaken

#: Called with the whole text so far, as often as a piece arrives.
OnText = Callable[[str], None]

#: What an SDK raises where a stream holds what it does not expect. All of it may have been paid for.
MALFORMED: Final = (RuntimeError, ValueError, LookupError, AttributeError, TypeError)
_BUSY: Final = frozenset({"overloaded_error", "rate_limit_error", "rate_limit_exceeded"})


class _Closable(Protocol):
    def close(self) -> None: ...


@contextmanager
def closed_after(stream: _Closable, seconds: float) -> Iterator[None]:
    """Close the stream when its time is over: a time-out alone counts from each piece anew."""
    timer = threading.Timer(seconds, stream.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def is_stream(response: httpx2.Response) -> bool:
    """Whether a server that was asked to stream does so."""
    kind: str = response.headers.get("content-type", "")
    return not kind.startswith("application/json")


def with_stream(request: bytes, **options: Any) -> bytes:
    """The same request, asked to be streamed: every other byte of it travels as it is."""
    added = json.dumps({"stream": True, **options}, separators=(",", ":")).encode()
    empty = request.strip() == b"{}"
    return added if empty else added[:-1] + b"," + request.lstrip()[1:]


def failed(error: Exception, *, begun: bool) -> DirectReply:
    """The reply to a stream that broke. Before its first word "busy" is a definite no."""
    body = reading.fields(getattr(error, "body", None))
    said = replies.words(body.get("error") or body)
    if not begun and said.names & _BUSY:
        return NotTaken(reason=said.message or "busy")
    if isinstance(error, MALFORMED):
        return Ambiguous(reason=f"{type(error).__name__} in the stream")
    return replies.of_direct(replies.failure(error))


def unfinished() -> Ambiguous:
    """The stream ended well and said nothing of an end."""
    return Ambiguous(reason="the stream ended before the answer did")
