"""One POST to real receivers: where it goes, what it makes of each answer, and when it gives up."""

import socket
import ssl
import threading
import time
from typing import Any

import pytest

from app.notify.network import PinnedBackend
from app.notify.post import NotTaken, Poster, Reply, Taken
from app.policy import tracing
from dev.servers import free_port
from tests.notify.receivers import Answer, receiving
from tests.notify.relay import CERTIFICATE
from tests.support.waiting import wait_until

LOCAL = frozenset({"127.0.0.1"})
BODY = b'{"type": "job.completed"}'
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def post(url: str, *, poster: Poster | None = None) -> Reply:
    """Send one."""
    return (poster or Poster(hosts_allowed=LOCAL)).post(url, BODY, {"webhook-id": "evt_1"})


def not_taken(url: str, **how: Any) -> NotTaken:
    """Send one that is not taken."""
    reply = post(url, **how)
    assert isinstance(reply, NotTaken), reply
    return reply


def looked_up(
    *addresses: str, hosts_allowed: frozenset[str] = frozenset(), total_s: float = 20
) -> tuple[Poster, list[str]]:
    """A poster whose every name leads to these addresses, and the names it asked for."""
    asked: list[str] = []

    def lookup(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    backend = PinnedBackend(hosts_allowed=hosts_allowed, total_s=total_s, lookup=lookup)
    return Poster(hosts_allowed=hosts_allowed, backend=backend), asked


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_status_of_2xx_is_a_receipt(status: int) -> None:
    """Whatever the reply says: it is the bytes given that arrive, with their headers."""
    with receiving(Answer(status=status, body=b"thanks")) as inbox:
        assert post(inbox.url) == Taken()
    (got,) = inbox.got
    assert (got.path, got.body, got.id) == ("/hook?for=17", BODY, "evt_1")


@pytest.mark.parametrize(
    ("status", "permanent", "troubled"),
    [
        (400, False, False),
        (401, False, False),
        (404, False, False),
        (410, True, False),
        (429, False, True),
        (500, False, True),
        (503, False, True),
    ],
)
def test_any_other_status_is_none(status: int, *, permanent: bool, troubled: bool) -> None:
    """410 is for good; 429 and 5xx speak of the receiver, the rest of this webhook."""
    with receiving(Answer(status=status, headers={"Retry-After": "7"})) as inbox:
        reply = not_taken(inbox.url)
    assert reply == NotTaken(
        reason=f"HTTP {status}", permanent=permanent, troubled=troubled, retry_after="7"
    )


@pytest.mark.parametrize("state", ["a=1", "a=1 ", " a=1", " ", "a=1, b=2"])
def test_no_state_of_a_callers_trace_keeps_a_webhook_back(state: str) -> None:
    """Whatever a caller's message carries as one: what no header can hold stays behind, and the webhook goes."""
    headers = tracing.carried({"traceparent": PARENT, "tracestate": state})
    with receiving() as inbox:
        assert Poster(hosts_allowed=LOCAL).post(inbox.url, BODY, headers) == Taken()
    (got,) = inbox.got
    assert got.headers["traceparent"] == PARENT


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """It leads where nobody has checked, and would take a signed body along."""
    with (
        receiving() as other,
        receiving(Answer(status=status, headers={"Location": other.url})) as inbox,
    ):
        assert not_taken(inbox.url).reason == f"HTTP {status}"
    assert not other.got


def test_proxy_variables_are_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look the name up again, elsewhere."""
    with receiving() as proxy, receiving() as inbox:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(inbox.url) == Taken()
    assert not proxy.got


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
    ],
)
def test_our_own_machine_is_refused_however_it_is_written(host: str) -> None:
    """What counts is the address that a connection would go to."""
    with receiving() as inbox:
        url = f"http://{host}:{inbox.port}/"
        reply = not_taken(url, poster=Poster(hosts_allowed=frozenset()))
    assert (reply.permanent, reply.troubled) == (True, False)
    assert "not public" in reply.reason
    assert host not in reply.reason
    assert not inbox.got


def test_a_host_that_is_allowed_is_that_host_alone() -> None:
    """Another name of the same address is not."""
    with receiving() as inbox:
        assert not_taken(f"http://localhost:{inbox.port}/").permanent
        poster = Poster(hosts_allowed=frozenset({"localhost"}))
        assert post(f"http://LocalHost:{inbox.port}/", poster=poster) == Taken()


@pytest.mark.parametrize("others", [["8.8.8.8"], ["8.8.8.8", "10.0.0.1"], []])
def test_one_address_that_is_not_public_is_enough(others: list[str]) -> None:
    """Of several, nobody can say which one a connection takes."""
    poster, asked = looked_up(*others, "127.0.0.1")
    assert not_taken("https://hooks.example/", poster=poster).permanent
    assert asked == ["hooks.example"]


def test_a_name_is_looked_up_once_and_the_connection_goes_there() -> None:
    """A name that changes its mind between check and connection changes nothing."""
    with receiving() as inbox:
        poster, asked = looked_up("127.0.0.1", hosts_allowed=frozenset({"hooks.example"}))
        assert post(f"http://hooks.example:{inbox.port}/", poster=poster) == Taken()
    assert asked == ["hooks.example"]
    assert inbox.got[0].headers["host"] == f"hooks.example:{inbox.port}"


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    """A host with two addresses is reachable while one of them is."""
    with receiving() as inbox:
        hosts_allowed = frozenset({"hooks.example"})
        poster, _ = looked_up("127.0.0.9", "127.0.0.1", hosts_allowed=hosts_allowed)
        assert post(f"http://hooks.example:{inbox.port}/", poster=poster) == Taken()


def test_a_name_that_nobody_knows_may_be_known_later() -> None:
    """Name servers have bad days as well."""

    def lookup(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    backend = PinnedBackend(hosts_allowed=LOCAL, total_s=20, lookup=lookup)
    poster = Poster(hosts_allowed=LOCAL, backend=backend)
    reply = not_taken("https://hooks.example/", poster=poster)
    assert (reply.permanent, reply.troubled) == (False, True)


def test_nobody_at_home_is_tried_again() -> None:
    """A refused connection."""
    reply = not_taken(f"http://127.0.0.1:{free_port()}/")
    assert reply == NotTaken(reason="no reply (ConnectError)", troubled=True)


def test_a_reply_that_is_lost_is_tried_again() -> None:
    """Nobody knows whether the receiver has it; it may be repeated."""
    with receiving(Answer(lost=True)) as inbox:
        assert not_taken(inbox.url).troubled
    assert len(inbox.got) == 1


def test_a_receiver_that_speaks_no_http_is_tried_again() -> None:
    """Whatever answers there today."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_mumble, args=(listener,))
        thread.start()
        reply = not_taken(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(10)
    assert (reply.permanent, reply.troubled) == (False, True)


def _mumble(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(b"250 what?\r\n\r\n")


def test_a_receiver_that_drips_is_left_at_the_deadline() -> None:
    """Bytes that come now and then do not prolong it."""
    with receiving(Answer(drip_s=0.05)) as inbox:
        backend = PinnedBackend(hosts_allowed=LOCAL, total_s=0.6)
        started = time.monotonic()
        reply = not_taken(inbox.url, poster=Poster(hosts_allowed=LOCAL, backend=backend))
        assert time.monotonic() - started < 10
    assert (reply.permanent, reply.troubled) == (False, True)
    assert "in time" in reply.reason


def test_a_long_reply_is_not_read() -> None:
    """Its status has said everything, and nobody makes us read a gigabyte."""
    with receiving(Answer(status=200, body=b"x" * 10_000_000)) as inbox:
        assert post(inbox.url) == Taken()


def test_a_certificate_must_be_the_hosts_own() -> None:
    """The address that was checked does not stand in for the name."""
    with receiving(tls=True) as inbox:
        assert not_taken(inbox.url).troubled
        tls = ssl.create_default_context(cafile=str(CERTIFICATE))
        named = f"https://localhost:{inbox.port}/"
        assert _over(tls, named) == Taken()
        stranger = f"https://hooks.example:{inbox.port}/"
        assert isinstance(_over(tls, stranger), NotTaken)
    assert [got.id for got in inbox.got] == ["evt_1"]


def _over(tls: ssl.SSLContext, url: str) -> Reply:
    hosts_allowed = frozenset({"localhost", "hooks.example"})

    def lookup(_host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    backend = PinnedBackend(hosts_allowed=hosts_allowed, total_s=20, lookup=lookup)
    return post(url, poster=Poster(hosts_allowed=hosts_allowed, backend=backend, tls=tls))


def test_posts_go_out_side_by_side() -> None:
    """One that drips holds up no other."""
    with receiving(Answer(drip_s=0.05)) as slow, receiving() as quick:
        backend = PinnedBackend(hosts_allowed=LOCAL, total_s=15)
        poster = Poster(hosts_allowed=LOCAL, backend=backend)
        hanging = threading.Thread(target=post, args=(slow.url,), kwargs={"poster": poster})
        hanging.start()
        try:
            wait_until(lambda: slow.got, within_s=10, what="the first webhook")
            assert post(quick.url, poster=poster) == Taken()
            assert hanging.is_alive()
        finally:
            slow.over.set()
            hanging.join(20)
