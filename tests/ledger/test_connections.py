"""A ledger's host that vanishes: its connections must not be waited for."""

import socket

import pytest
from sqlalchemy import Engine


@pytest.mark.parametrize(
    ("option", "most"),
    [
        (socket.TCP_KEEPIDLE, 60),
        (socket.TCP_KEEPINTVL, 15),
        (socket.TCP_KEEPCNT, 5),
        (socket.TCP_USER_TIMEOUT, 60_000),
    ],
    ids=["idle", "interval", "probes", "unacknowledged"],
)
def test_a_host_that_is_gone_is_noticed_within_two_minutes(
    engine: Engine, option: int, most: int
) -> None:
    """As the system is told, by which it breaks the connection: its own default is two hours."""
    with (
        engine.connect() as connection,
        socket.fromfd(
            connection.connection.dbapi_connection.fileno(),  # type: ignore[union-attr]  # psycopg's
            socket.AF_INET,
            socket.SOCK_STREAM,
        ) as seen,
    ):
        assert 1 == seen.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert 0 < seen.getsockopt(socket.IPPROTO_TCP, option) <= most
