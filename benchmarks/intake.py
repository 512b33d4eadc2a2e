"""Intake: messages a second from Redis into the ledger, beside the floors below it.

Beside a loop that pops the same messages and throws them away: what Redis alone allows. Beside COPY of
the same bytes into a bare table, one commit for each portion: what PostgreSQL alone allows.
"""

from typing import Any, Final

import psycopg
import redis

from app.intake.announcer import Announcer
from app.intake.pump import Pump
from app.intake.unadmitted import Unadmitted
from app.ledger import engine as ledger
from app.policy.rules import Rules
from benchmarks.ground import PUBLISHED, QUEUE, ROUNDS, Figure, Ground, middle, publish, rate

_OURS: Final = 1


def measure(where: Ground, *, count: int) -> list[Figure]:
    """Both figures, over `count` messages."""
    publish(where, plain=count)
    pumped: list[float] = []
    popped: list[float] = []
    copied: list[float] = []
    for _ in range(ROUNDS):
        where.lay_out(_OURS)
        popped.append(_pop(where, count))
        copied.append(_copy(where, count))
        where.lay_out(_OURS)
        pumped.append(pump_all(where, _OURS, count))
    ours = middle(pumped)
    return [
        Figure(name="intake", per_s=ours, beside="LMPOP, discarded", beside_per_s=middle(popped)),
        Figure(name="intake", per_s=ours, beside="COPY, bare table", beside_per_s=middle(copied)),
    ]


def pump_all(where: Ground, database: int, count: int) -> float:
    """Admit everything that waits in this Redis database; messages a second."""
    config, app = where.service(database)
    engine = ledger.connect(where.database_url)
    with redis.Redis.from_url(where.redis_url(database)) as client:
        pump = Pump(
            client=client,
            engine=engine,
            announce=Announcer(app=app, client=client, key_prefix="", wake=_nobody_is_woken),
            unadmitted=Unadmitted(client=client, engine=engine, known_as=_nothing_is_told),
            queues=[QUEUE],
            rules=Rules(
                request_bytes_max=config.request_bytes_max, attempts_max=config.attempts_max
            ),
            key_prefix="",
            messages_max=config.intake_messages_max,
            stale_after_s=config.intake_stale_after_s,
        )
        # What a process does once: connect, and compile its statements.
        pump.run_once()
        left: Any = client.llen(QUEUE)
        found = rate(left, lambda: _until_empty(pump))
        taken: Any = client.llen(QUEUE)
    with engine.connect() as connection:
        tickets = connection.exec_driver_sql("SELECT count(*) FROM ticket").scalar_one()
    engine.dispose()
    assert (taken, tickets) == (0, count), f"{tickets} of {count} were admitted"
    return found


def _until_empty(pump: Pump) -> None:
    while pump.run_once():
        pass


def _nobody_is_woken() -> None:
    """Completion is not part of this measurement."""


def _nothing_is_told() -> None:
    """This Redis bears no mark: no completer looks after it."""


def _pop(where: Ground, count: int) -> float:
    config, _ = where.service(_OURS)

    def discard() -> None:
        while client.lmpop(1, QUEUE, direction="RIGHT", count=config.intake_messages_max):
            pass

    with redis.Redis.from_url(where.redis_url(_OURS)) as client:
        client.ping()
        return rate(count, discard)


def _copy(where: Ground, count: int) -> float:
    portion = where.service(_OURS)[0].intake_messages_max
    with redis.Redis.from_url(where.redis_url(PUBLISHED)) as client:
        raw: Any = client.lrange(QUEUE, 0, -1)

    def insert() -> None:
        for start in range(0, len(raw), portion):
            with connection.cursor().copy("COPY floor (raw) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["bytea"])
                for message in raw[start : start + portion]:
                    copy.write_row((message,))
            connection.commit()

    plain = where.database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain) as connection:
        connection.execute("DROP TABLE IF EXISTS floor")
        connection.execute("CREATE TABLE floor (raw bytea NOT NULL)")
        connection.commit()
        return rate(count, insert)
