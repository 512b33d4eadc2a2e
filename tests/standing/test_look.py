"""A look at stores that hang is over in seconds, as one at stores that are down."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import NullPool, create_engine

from app.policy.standing import Limits
from app.standing.look import Look

_PATIENCE_S = 2
LIMITS = Limits(linger=timedelta(minutes=5), pick_up_within=timedelta(minutes=30), periods={})


@contextmanager
def silence() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def test_stores_that_hang_are_waited_for_at_once() -> None:
    """
    Both are told of, and the second costs no further wait.
    """
    with silence() as ledger_port, silence() as redis_port:
        look = Look(
            engine=create_engine(
                f"postgresql+psycopg://127.0.0.1:{ledger_port}/none",
                poolclass=NullPool,
                connect_args={"connect_timeout": _PATIENCE_S},
            ),
            client=redis.Redis(
                port=redis_port, socket_timeout=_PATIENCE_S, retry=Retry(NoBackoff(), 0)
            ),
            key_prefix="",
            limits=LIMITS,
            result_lifetime=timedelta(days=8),
            daily_limits={},
        )
        began = time.monotonic()
        looked = look.run()
        took_s = time.monotonic() - began

    assert {"ledger_unreachable", "redis_unreachable"} == {
        str(one.name) for one in looked.judgement.verdict.findings
    }
    assert took_s < 2 * _PATIENCE_S
