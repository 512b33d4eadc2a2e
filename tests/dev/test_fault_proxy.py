"""The proxy that strikes replies after the server has done its part."""

import gc
import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from dev.exchanges import Edge, Exchange, Side, Turns
from dev.fault_proxy import Deed, Fault, FaultProxy
from tests.support.waiting import wait_until

REPLY = b"0123456789" * 10
WITHIN_S = 20.0


class _Server(ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.did: list[bytes] = []


class _Handler(BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        while request := self.request.recv(1000):
            self.server.did.append(request)
            self.request.sendall(REPLY)


@pytest.fixture
def server() -> Iterator[_Server]:
    """A server that answers everything with the same hundred bytes."""
    with _Server() as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: _Server) -> Iterator[FaultProxy]:
    """A proxy in front of it."""
    with FaultProxy(server.server_address[1]) as listening:
        yield listening


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    """A connection to the proxy."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=WITHIN_S) as connection:
        yield connection


def _ask(client: socket.socket, request: bytes) -> bytes:
    """What comes until the reply is whole or the connection breaks."""
    client.sendall(request)
    got = b""
    try:
        while len(got) < len(REPLY) and (chunk := client.recv(1000)):
            got += chunk
    except ConnectionResetError:
        return got
    return got


def test_without_a_fault_everything_passes(client: socket.socket) -> None:
    """Requests and replies go through as they are, any number over one connection."""
    assert [REPLY, REPLY] == [_ask(client, b"one"), _ask(client, b"two")]


def test_a_cut_reply_breaks_off_after_the_server_did_it(
    proxy: FaultProxy, server: _Server, client: socket.socket
) -> None:
    """The server has the request, the client has the beginning of the reply and a broken connection."""
    fault = proxy.arm(Fault(request=re.compile(rb"\Abuy"), deed=Deed.CUT, after_bytes=7))

    assert [REPLY, REPLY[:7]] == [_ask(client, b"look"), _ask(client, b"buy")]
    assert [b"look", b"buy"] == server.did
    assert fault.struck.is_set()


def test_a_lost_request_never_reaches_the_server(
    proxy: FaultProxy, server: _Server, client: socket.socket
) -> None:
    """The client's connection breaks, and nothing was done."""
    fault = proxy.arm(Fault(request=re.compile(rb"\Abuy"), deed=Deed.LOSE))

    assert b"" == _ask(client, b"buy")
    assert fault.struck.is_set()
    assert [] == server.did


def test_a_fault_strikes_the_request_that_it_was_told_to(
    proxy: FaultProxy, client: socket.socket
) -> None:
    """`skip` lets so many through; once it has struck, another connection is as any other."""
    proxy.arm(Fault(request=re.compile(rb"\Abuy"), deed=Deed.CUT, skip=1))

    assert [REPLY, b""] == [_ask(client, b"buy"), _ask(client, b"buy")]
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=WITHIN_S) as again:
        assert REPLY == _ask(again, b"buy")


def test_a_held_reply_comes_once_it_is_released(
    proxy: FaultProxy, server: _Server, client: socket.socket
) -> None:
    """Until then the server has done it, and the client knows nothing."""
    fault = proxy.arm(Fault(request=re.compile(rb"\Abuy"), deed=Deed.HOLD))
    client.sendall(b"buy")
    assert fault.struck.wait(WITHIN_S)
    assert [b"buy"] == server.did

    proxy.release(fault)

    assert len(REPLY) == len(client.recv(1000))


def test_a_client_that_goes_away_ends_a_held_reply(proxy: FaultProxy, server: _Server) -> None:
    """A killed client leaves no connection to the server behind."""
    fault = proxy.arm(Fault(request=re.compile(rb"\Abuy"), deed=Deed.HOLD))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=WITHIN_S) as client:
        client.sendall(b"buy")
        assert fault.struck.wait(WITHIN_S)

    wait_until(
        lambda: not any("process_request_thread" in one.name for one in threading.enumerate()),
        within_s=WITHIN_S,
        what="the server's half to end",
    )
    assert [b"buy"] == server.did


def test_a_client_that_comes_while_it_stops_is_let_go(server: _Server) -> None:
    """
    Clients whose connections it breaks connect again at once: none of those is left open.
    """
    for _ in range(20):
        with FaultProxy(server.server_address[1]) as proxy:
            address, stopped = ("127.0.0.1", proxy.port), threading.Event()
            clients = [threading.Thread(target=_knock, args=[address, stopped]) for _ in range(4)]
            for client in clients:
                client.start()
            wait_until(lambda: proxy._under_way, within_s=WITHIN_S, what="a client")
        stopped.set()
        for client in clients:
            client.join()
    gc.collect()


def _knock(address: tuple[str, int], stopped: threading.Event) -> None:
    while not stopped.is_set():
        with suppress(OSError), socket.create_connection(address, timeout=WITHIN_S) as client:
            client.sendall(b"hello")
            client.recv(10)


def test_a_server_that_is_not_there_is_seen_as_such() -> None:
    """The client's connection breaks; it does not hang."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        FaultProxy(port) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=WITHIN_S) as client,
    ):
        assert b"" == _ask(client, b"anything")


def test_a_fault_waits_for_what_precedes_it(
    proxy: FaultProxy, server: _Server, client: socket.socket
) -> None:
    """The same request passes until its connection has said the other thing; another's does not count."""
    proxy.arm(
        Fault(request=re.compile(rb"commit"), deed=Deed.CUT, preceded_by=re.compile(rb"insert"))
    )
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=WITHIN_S) as other:
        assert REPLY == _ask(other, b"insert")
        assert [REPLY, REPLY] == [_ask(client, b"commit"), _ask(client, b"look")]
        assert b"" == _ask(other, b"commit")
    assert [b"insert", b"commit", b"look", b"commit"] == server.did


def test_it_leads_to_another_server(
    proxy: FaultProxy, server: _Server, client: socket.socket
) -> None:
    """Connections to the first break, and new ones reach the second."""
    assert REPLY == _ask(client, b"one")
    with _Server() as second:
        thread = threading.Thread(target=second.serve_forever)
        thread.start()
        proxy.lead_to(second.server_address[1])
        assert b"" == _ask(client, b"two")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=WITHIN_S) as again:
            assert REPLY == _ask(again, b"three")
        second.shutdown()
        thread.join()
    assert ([b"one"], [b"three"]) == (server.did, second.did)


@pytest.fixture
def turns() -> Turns:
    """What two proxies count together."""
    return Turns()


@pytest.fixture
def counted(server: _Server, turns: Turns) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection through each of two proxies that count together."""
    port = server.server_address[1]
    with (
        FaultProxy(port, name="left", turns=turns) as left,
        FaultProxy(port, name="right", turns=turns) as right,
        socket.create_connection(("127.0.0.1", left.port), timeout=WITHIN_S) as one,
        socket.create_connection(("127.0.0.1", right.port), timeout=WITHIN_S) as other,
    ):
        yield one, other


Pair = tuple[socket.socket, socket.socket]


def test_exchanges_are_counted_over_all_proxies(turns: Turns, counted: Pair) -> None:
    """In the order of their requests, each with the one before it on its own connection."""
    left, right = counted
    for client, request in [(left, b"one"), (right, b"two"), (left, b"three")]:
        assert REPLY == _ask(client, request)

    assert [
        Exchange("left", b"one", b""),
        Exchange("right", b"two", b""),
        Exchange("left", b"three", b"one"),
    ] == turns.seen


def test_what_is_said_before_the_server_speaks_is_one_exchange(
    turns: Turns, counted: Pair, server: _Server
) -> None:
    """A body that follows its head is no exchange of its own; the held one keeps both to itself."""
    edge = Edge(number=1, side=Side.BEFORE)
    turns.begin(edge)
    counted[0].sendall(b"head")
    assert edge.struck.wait(WITHIN_S)
    counted[0].sendall(b"body")
    assert REPLY == _ask(counted[1], b"look")

    assert [b"head", b"look"] == [one.request for one in turns.seen]
    assert [b"look"] == server.did


def test_an_exchange_is_held_before_its_request_reaches_the_server(
    turns: Turns, counted: Pair, server: _Server
) -> None:
    """The one of that number, through whichever proxy; the others pass."""
    left, right = counted
    edge = Edge(number=2, side=Side.BEFORE)
    turns.begin(edge)
    assert REPLY == _ask(left, b"one")
    assert not edge.struck.is_set()
    right.sendall(b"two")
    assert edge.struck.wait(WITHIN_S)

    assert REPLY == _ask(left, b"three")
    assert [b"one", b"three"] == server.did


def test_an_exchange_is_held_after_the_server_answered(
    turns: Turns, counted: Pair, server: _Server
) -> None:
    """The server did it, and the client has heard nothing of it when it goes away."""
    left, right = counted
    edge = Edge(number=2, side=Side.AFTER)
    turns.begin(edge)
    assert REPLY == _ask(left, b"one")
    right.sendall(b"two")
    assert edge.struck.wait(WITHIN_S)

    assert [b"one", b"two"] == server.did
    assert ([], [], []) == select.select([right], [], [], 0)


def test_counting_begins_anew(turns: Turns, counted: Pair) -> None:
    """What was seen is forgotten, and the number is that of what comes from then on."""
    assert REPLY == _ask(counted[0], b"one")
    edge = Edge(number=1, side=Side.AFTER)
    turns.begin(edge)
    counted[0].sendall(b"two")

    assert edge.struck.wait(WITHIN_S)
    assert [Exchange("left", b"two", b"one")] == turns.seen


def test_a_client_that_is_held_and_goes_away_leaves_nothing_behind(
    turns: Turns, counted: Pair
) -> None:
    """The server's half of its connection ends."""
    assert [REPLY, REPLY] == [_ask(client, b"look") for client in counted]
    assert 2 == _threads()
    edge = Edge(number=1, side=Side.AFTER)
    turns.begin(edge)
    counted[0].sendall(b"one")
    assert edge.struck.wait(WITHIN_S)
    counted[0].close()

    wait_until(lambda: _threads() == 1, within_s=WITHIN_S, what="the server's half to end")


def _threads() -> int:
    return sum("process_request_thread" in one.name for one in threading.enumerate())
