"""The exchanges of a client with its servers, numbered over all of its connections, so that one can be held."""

import threading
from dataclasses import dataclass, field
from enum import StrEnum


class Side(StrEnum):
    """Where an exchange is held."""

    #: Nothing of the request reaches the server.
    BEFORE = "before"
    #: The server has answered; nothing of the reply reaches the client.
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a client says over one connection until the server speaks, and what the server then says."""

    #: The name of the proxy that it goes through.
    server: str
    #: The first that the client sent at once.
    request: bytes
    #: The same of the exchange before, over the same connection; empty for the first.
    preceding: bytes


@dataclass(kw_only=True)
class Edge:
    """One side of one exchange, by its number from 1. Held until the client goes away."""

    number: int
    side: Side
    #: Set when it is held.
    struck: threading.Event = field(default_factory=threading.Event)


class Turns:
    """Numbers the exchanges of all proxies that share it, and holds one of them. Safe between threads."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._lock = threading.Lock()
        self._edge: Edge | None = None
        self._seen: list[Exchange] = []

    def begin(self, edge: Edge | None = None) -> None:
        """Count anew, and hold that edge once it is reached; None lets everything pass."""
        with self._lock:
            self._edge, self._seen = edge, []

    @property
    def seen(self) -> list[Exchange]:
        """The exchanges since then, in the order in which their requests came."""
        with self._lock:
            return list(self._seen)

    def take(self, exchange: Exchange) -> Edge | None:
        """Number an exchange; the edge that holds it, if one does. For the proxies."""
        with self._lock:
            self._seen.append(exchange)
            edge = self._edge
            return edge if edge is not None and edge.number == len(self._seen) else None


class Count:
    """The exchanges of one connection: what a proxy asks before it lets anything pass."""

    def __init__(self, name: str, turns: Turns) -> None:
        self._name = name
        self._turns = turns
        self._is_clients_turn = True
        self._preceding = b""
        self._edge: Edge | None = None

    def holds_request(self, chunk: bytes) -> bool:
        """Whether what the client says now stays here, and everything after it."""
        if self._is_clients_turn:
            self._edge = self._turns.take(Exchange(self._name, chunk, self._preceding))
            self._is_clients_turn, self._preceding = False, chunk
        return self._holds(Side.BEFORE)

    def holds_reply(self) -> bool:
        """Whether what the server says now stays here, and everything after it."""
        self._is_clients_turn = True
        return self._holds(Side.AFTER)

    def _holds(self, side: Side) -> bool:
        if self._edge is None or self._edge.side is not side:
            return False
        self._edge.struck.set()
        return True
