"""A TCP proxy that strikes: replies are cut off or held back after the server has done what it was asked.

Between the service and a provider, a mail server: whatever speaks in turns over one connection. What is struck
is told by what it says (`Fault`), or by its number among all exchanges of some proxies (`Turns`).
"""

import asyncio
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from dev.exchanges import Count, Turns

_CHUNK_BYTES: Final = 1 << 16
_START_S: Final = 10.0
_TURNS: Final = 10
_CLOSE_S: Final = 0.05


class Deed(StrEnum):
    """What becomes of a request or its reply."""

    #: The request never reaches the server: both connections break.
    LOSE = "lose"
    #: Both connections break once `after_bytes` of the reply have passed.
    CUT = "cut"
    #: Nothing more of the reply passes until the client goes away or `FaultProxy.release` is called.
    HOLD = "hold"
    #: Of the request `after_bytes` pass, and no more; the connection stays until the client goes away.
    KEEP = "keep"


@dataclass(kw_only=True)
class Fault:
    """Strikes one request or the reply to it, once."""

    #: Searched in what a client sends at once; `\\A` anchors it to a request's first line.
    request: re.Pattern[bytes]
    deed: Deed
    #: So much of the reply (of the request, where it is kept) passes before.
    after_bytes: int = 0
    #: So many matching requests are let through first.
    skip: int = 0
    #: Strikes only where the same connection has sent this before: a COMMIT of one sort of transaction.
    preceded_by: re.Pattern[bytes] | None = None
    #: Set when it has struck. A reply that was struck has come: the server did it.
    struck: threading.Event = field(default_factory=threading.Event)
    #: What has come of the reply and did not pass.
    withheld: bytes = b""
    _released: asyncio.Event = field(default_factory=asyncio.Event)


class FaultProxy:
    """Listens on a free loopback port for a server on another. A context manager.

    Exchanges are counted under `name` where `turns` are given.
    """

    def __init__(self, server_port: int, *, name: str = "", turns: Turns | None = None) -> None:
        self._server_port = server_port
        self._name = name
        self._turns = turns
        self._faults: list[Fault] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._listener: asyncio.Server | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self.port = 0

    def __enter__(self) -> Self:
        """Listen."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Break every connection and stop listening."""
        self.stop()

    def start(self) -> Self:
        """Listen from now on; `port` says where."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_START_S)
        return self

    def stop(self) -> None:
        """Break every connection and stop listening."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def arm(self, fault: Fault) -> Fault:
        """Let it strike the next reply that it fits; the same fault."""
        self._loop.call_soon_threadsafe(self._faults.append, fault)
        return fault

    def lead_to(self, server_port: int) -> None:
        """Break every connection, and lead new ones to the server on another port: a failover."""
        asyncio.run_coroutine_threadsafe(self._lead_to(server_port), self._loop).result(_START_S)

    def release(self, fault: Fault) -> None:
        """Let a held reply go on."""
        self._loop.call_soon_threadsafe(fault._released.set)  # noqa: SLF001 - ours, of this module

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _lead_to(self, server_port: int) -> None:
        self._server_port = server_port
        for writer in self._clients:
            writer.transport.abort()

    async def _close(self) -> None:
        assert self._listener is not None, "the proxy was not started"
        # asyncio of Python 3.11 leaves the connection open that is being accepted while its listener is closed.
        for listening in self._listener.sockets:
            self._loop.remove_reader(listening.fileno())
        await self._settle()
        self._listener.close()
        # One that was accepted in the last moment may become known only now.
        while self._under_way:
            for writer in self._clients:
                writer.transport.abort()
            await asyncio.wait(self._under_way, timeout=_CLOSE_S)
        await self._settle()

    async def _settle(self) -> None:
        """Let the loop turn: what was accepted becomes known, and what was aborted is closed, a turn later."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        self._clients.add(writer)
        try:
            there = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            # As a client sees a server that is not there.
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
        else:
            count = Count(self._name, self._turns) if self._turns is not None else None
            await _Conversation(self._faults, (reader, writer), there, count).run()
        finally:
            self._under_way.discard(task)
            self._clients.discard(writer)


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Conversation:
    """One client's connection and the server's half of it."""

    def __init__(
        self, faults: list[Fault], client: _Ends, server: _Ends, count: Count | None
    ) -> None:
        self._count = count
        self._faults = faults
        self._client = client
        self._server = server
        #: What strikes the reply that is under way, and how much of it may still pass.
        self._fault: Fault | None = None
        self._passes = 0
        #: Faults whose `preceded_by` this connection has sent.
        self._preceded: set[int] = set()

    async def run(self) -> None:
        """Until either side goes away or the connection is cut."""
        ways = [asyncio.create_task(way) for way in (self._requests(), self._replies())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for _, writer in (self._client, self._server):
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _requests(self) -> None:
        while chunk := await self._client[0].read(_CHUNK_BYTES):
            if self._count is not None and self._count.holds_request(chunk):
                await _swallow(self._client[0])
                return
            self._match(chunk)
            if self._fault is not None and self._fault.deed is Deed.LOSE:
                self._fault.struck.set()
                self._client[1].transport.abort()
                return
            if self._fault is not None and self._fault.deed is Deed.KEEP:
                await self._keep(chunk, self._fault)
                return
            self._server[1].write(chunk)
            await self._server[1].drain()

    async def _keep(self, chunk: bytes, fault: Fault) -> None:
        passes = fault.after_bytes
        while chunk and len(chunk) < passes:
            self._server[1].write(chunk)
            passes -= len(chunk)
            chunk = await self._client[0].read(_CHUNK_BYTES)
        self._server[1].write(chunk[:passes])
        await self._server[1].drain()
        fault.struck.set()
        await _swallow(self._client[0])

    def _match(self, chunk: bytes) -> None:
        for fault in self._faults:
            if not self._fits(fault, chunk):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            self._faults.remove(fault)
            self._fault, self._passes = fault, fault.after_bytes
            return

    def _fits(self, fault: Fault, chunk: bytes) -> bool:
        if fault.preceded_by is not None and id(fault) not in self._preceded:
            if fault.preceded_by.search(chunk):
                self._preceded.add(id(fault))
            return False
        return fault.request.search(chunk) is not None

    async def _replies(self) -> None:
        while chunk := await self._server[0].read(_CHUNK_BYTES):
            if self._count is not None and self._count.holds_reply():
                await _swallow(self._server[0])
                # The server's going away is a part of the reply: the client does not hear of it either.
                await asyncio.Event().wait()
            rest = chunk
            if self._fault is not None:
                rest = chunk[self._passes :]
                await self._pass(chunk[: self._passes])
                self._passes -= len(chunk) - len(rest)
                if rest:
                    fault, self._fault.withheld = self._fault, rest
                    if not await self._goes_on(fault):
                        return
                    rest = fault.withheld
            await self._pass(rest)

    async def _goes_on(self, fault: Fault) -> bool:
        """Strike; whether the rest of the reply passes after all."""
        fault.struck.set()
        if fault.deed is Deed.CUT:
            self._client[1].transport.abort()
            return False
        reading = asyncio.create_task(self._withhold(fault))
        try:
            await fault._released.wait()  # noqa: SLF001 - ours, of this module
        finally:
            reading.cancel()
            # A stream has one reader at a time.
            await asyncio.wait([reading])
        self._fault = None
        return True

    async def _withhold(self, fault: Fault) -> None:
        while chunk := await self._server[0].read(_CHUNK_BYTES):
            fault.withheld += chunk

    async def _pass(self, chunk: bytes) -> None:
        if chunk:
            self._client[1].write(chunk)
            await self._client[1].drain()


async def _swallow(reader: asyncio.StreamReader) -> None:
    """Keep what still comes, until the other end goes away."""
    while await reader.read(_CHUNK_BYTES):
        pass
