"""One POST to one receiver, and what came of it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpcore2

from app.notify.network import BlockedDestination, PinnedBackend

_CONNECT_S: Final = 5.0
#: Everything together: name, connection, TLS, request and reply.
TOTAL_S: Final = 20.0
#: Of each step; their sum is bounded by the connection's own deadline.
_TIMEOUTS: Final = {"connect": _CONNECT_S, "read": TOTAL_S, "write": TOTAL_S, "pool": TOTAL_S}
#: Of a reply: enough for its sender to be done with it. Nothing of it is kept.
_REPLY_BYTES_MAX: Final = 4096
_POSTS_AT_ONCE_MAX: Final = 100
_TAKEN: Final = range(200, 300)
_GONE: Final = 410
_TOO_MANY: Final = 429
_TROUBLED: Final = range(500, 600)


@dataclass(frozen=True, slots=True)
class Taken:
    """The receiver has it: a status of 2xx."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NotTaken:
    """It has not, or nobody knows. A webhook may be repeated, so both are the same."""

    #: Never names the address: it ends in records.
    reason: str
    #: Another try is useless.
    permanent: bool = False
    #: The receiver as a whole is in trouble, not this webhook.
    troubled: bool = False
    retry_after: str | None = None


Reply = Taken | NotTaken


class Poster:
    """Posts, following no redirect and obeying no proxy variable: both lead elsewhere.

    `hosts_allowed`, in lower case, may be anywhere; all others must be public.
    """

    def __init__(
        self,
        *,
        hosts_allowed: frozenset[str],
        backend: httpcore2.NetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=_POSTS_AT_ONCE_MAX,
            # Each post has a connection of its own, and so a deadline of its own.
            max_keepalive_connections=0,
            retries=0,
            network_backend=backend or PinnedBackend(hosts_allowed=hosts_allowed, total_s=TOTAL_S),
        )

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Try once."""
        try:
            with self._pool.stream(
                "POST",
                url,
                headers=list(headers.items()),
                content=body,
                extensions={"timeout": _TIMEOUTS},
            ) as reply:
                _drain(reply)
                return _said(reply)
        except BlockedDestination as blocked:
            return NotTaken(reason=str(blocked), permanent=True)
        except httpcore2.TimeoutException as late:
            return NotTaken(reason=f"no reply in time ({type(late).__name__})", troubled=True)
        except (httpcore2.NetworkError, httpcore2.ProtocolError, ssl.SSLError) as broken:
            return NotTaken(reason=f"no reply ({type(broken).__name__})", troubled=True)


def _drain(reply: httpcore2.Response) -> None:
    """Let the receiver finish a short reply. Its status has said everything."""
    read = 0
    try:
        for chunk in reply.iter_stream():
            read += len(chunk)
            if read >= _REPLY_BYTES_MAX:
                return
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        return


def _said(reply: httpcore2.Response) -> Reply:
    if reply.status in _TAKEN:
        return Taken()
    wanted = [value for name, value in reply.headers if name.lower() == b"retry-after"]
    return NotTaken(
        reason=f"HTTP {reply.status}",
        permanent=reply.status == _GONE,
        troubled=reply.status == _TOO_MANY or reply.status in _TROUBLED,
        retry_after=wanted[0].decode("latin-1") if wanted else None,
    )
