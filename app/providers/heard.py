"""What HTTP said last: the status of a provider's reply, or one word for why there was none.

Heard below the SDKs, in the thread that asks, so that no adapter has to carry it through its replies.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final

import httpx2

#: Nothing was asked over HTTP, or nothing of it is known: an adapter of another kind, an older version's count.
UNKNOWN: Final = "unknown"
TIMEOUT: Final = "timeout"
#: Nobody was there: nothing has left us.
UNCONNECTED: Final = "unconnected"
#: The connection broke off while it was used.
RESET: Final = "reset"
#: Whatever else HTTP makes of a failure, and a status that is none.
OTHER: Final = "other"

_STATUSES: Final = range(100, 600)
_last: Final[ContextVar[str]] = ContextVar("heard", default=UNKNOWN)


def forget() -> None:
    """What is heard from now on is of something new."""
    _last.set(UNKNOWN)


def last() -> str:
    """A status as text, or one of this module's words; `unknown` since `forget` where nothing was heard."""
    return _last.get()


class Hearing(httpx2.Client):
    """A client that says what it hears. It changes no request, no reply and no error."""

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """See `httpx2.Client`."""
        try:
            response = super().send(request, **options)
        except httpx2.HTTPError as error:
            _last.set(_word(error))
            raise
        status = response.status_code
        _last.set(str(status) if status in _STATUSES else OTHER)
        if not response.is_closed and isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _Heard(response.stream)
        return response


class _Heard(httpx2.SyncByteStream):
    """A body that is read piece by piece: it may break off long after its status."""

    def __init__(self, inner: httpx2.SyncByteStream) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._inner
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            _last.set(_word(error))
            raise

    def close(self) -> None:
        self._inner.close()


def _word(error: Exception) -> str:
    match error:
        case httpx2.TimeoutException():
            return TIMEOUT
        case httpx2.ConnectError() | httpx2.ProxyError() | httpx2.UnsupportedProtocol():
            return UNCONNECTED
        case httpx2.NetworkError() | httpx2.RemoteProtocolError():
            return RESET
        case _:
            return OTHER
