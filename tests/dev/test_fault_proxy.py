"""The proxy that strikes replies after the server has done its part."""

import re
import socket
import threading
from collections.abc import Iterator
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

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
