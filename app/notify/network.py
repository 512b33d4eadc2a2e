"""Connections that go where they were checked to go, and end when their time is over."""

import socket
import time
from collections.abc import Callable, Iterable
from ssl import SSLContext
from typing import Any, Final

import httpcore2
from httpcore2 import SOCKET_OPTION, NetworkStream

from app.policy.addresses import is_public

#: Addresses of one host that are tried.
_ADDRESSES_MAX: Final = 3
#: `getaddrinfo` as the standard library has it.
Lookup = Callable[..., list[Any]]


class BlockedDestination(Exception):  # noqa: N818 - reads as what it says
    """The destination is not one that we may call."""


class PinnedBackend(httpcore2.NetworkBackend):
    """Looks a host up once, checks every answer, and connects to one that was checked.

    A second look-up could answer otherwise. TLS still asks for the certificate of the host's name.
    One connection, all its reads and writes together, may take `total_s`; the look-up itself has only
    the resolver's own bound.
    """

    def __init__(
        self,
        *,
        hosts_allowed: frozenset[str],
        total_s: float,
        lookup: Lookup = socket.getaddrinfo,
    ) -> None:
        self._hosts_allowed = hosts_allowed
        self._total_s = total_s
        self._lookup = lookup
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """Raises BlockedDestination, ConnectError or ConnectTimeout."""
        addresses = self._addresses(host, port)
        deadline = time.monotonic() + self._total_s
        failure: Exception | None = None
        for address in addresses[:_ADDRESSES_MAX]:
            left = _left(deadline, timeout, httpcore2.ConnectTimeout)
            try:
                stream = self._sockets.connect_tcp(
                    address, port, left, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _DeadlineStream(stream, deadline)
        assert failure is not None, "a host has at least one address"
        raise failure

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """Never: raises BlockedDestination."""
        del path, timeout, socket_options
        raise BlockedDestination("a socket of this machine is no destination")

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = self._lookup(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("its name cannot be looked up") from error
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if host.lower() in self._hosts_allowed:
            return addresses
        # One bad answer is enough: which of them a later connection takes is not ours to say.
        if not addresses or not all(map(is_public, addresses)):
            raise BlockedDestination("its name leads to an address that is not public")
        return addresses


class _DeadlineStream(NetworkStream):
    """A stream whose every read and write ends at one moment: many small ones take no longer."""

    def __init__(self, stream: NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Raises ReadTimeout at the deadline."""
        left = _left(self._deadline, timeout, httpcore2.ReadTimeout)
        return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Raises WriteTimeout at the deadline."""
        self._stream.write(buffer, _left(self._deadline, timeout, httpcore2.WriteTimeout))

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> NetworkStream:
        """Raises ConnectTimeout at the deadline."""
        left = _left(self._deadline, timeout, httpcore2.ConnectTimeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return _DeadlineStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """What the socket knows."""
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        """Close the socket."""
        self._stream.close()


def _left(deadline: float, timeout: float | None, too_late: type[Exception]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise too_late("its time is over")
    return left if timeout is None else min(timeout, left)
