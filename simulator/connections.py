"""The live connections by their caller's address, so that one can be cut in the middle of a reply."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_LIVE: dict[tuple[str, int], asyncio.BaseTransport] = {}


class Protocol(H11Protocol):
    """uvicorn's own, remembered while it lives."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller has connected."""
        _LIVE[_peer(transport)] = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """A caller has gone, or was cut off."""
        _LIVE.pop(_peer(self.transport), None)
        super().connection_lost(exc)


def cut(client: tuple[str, int]) -> None:
    """Close a caller's connection once what was written has left. It gets not another byte."""
    transport = _LIVE.get((client[0], client[1]))
    if transport is not None:
        transport.close()


def _peer(transport: asyncio.BaseTransport) -> tuple[str, int]:
    address: tuple[Any, ...] = transport.get_extra_info("peername") or ("", 0)
    return str(address[0]), int(address[1])
