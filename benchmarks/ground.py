"""What every benchmark stands on: servers of its own, real messages, and figures as ratios."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import redis
from celery import Celery, chord

from app.celery import build
from app.ledger import engine as ledger
from app.ledger import migrate
from app.observe import log
from app.settings import Settings
from dev.servers import create_database, start_postgres, start_redis
from unhurried import messages
from unhurried.contract import QUEUES, Tier

ROUNDS: Final = 3
QUEUE: Final = QUEUES[Tier.BATCH]
#: Redis database that holds what was published, and that every round copies from.
PUBLISHED: Final = 0
PROMPT: Final = "Say what this paragraph says in one sentence. " * 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A rate of ours beside another of the same run; only the ratio travels between machines."""

    name: str
    per_s: float
    beside: str
    beside_per_s: float

    @property
    def ratio(self) -> float:
        """Ours for each one of theirs."""
        return self.per_s / self.beside_per_s


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the servers of a benchmark are."""

    redis_server: str
    database_url: str

    def redis_url(self, database: int) -> str:
        """One of Redis's databases."""
        return f"{self.redis_server}/{database}"

    def service(self, database: int) -> tuple[Settings, Celery]:
        """The service's settings and Celery app over one of Redis's databases."""
        config = Settings(redis_url=self.redis_url(database), database_url=self.database_url)
        return config, build(config)

    def lay_out(self, database: int) -> None:
        """Give a Redis database what was published, and nothing else; empty the ledger."""
        with redis.Redis.from_url(self.redis_url(database)) as target:
            target.flushdb()
        with redis.Redis.from_url(self.redis_url(PUBLISHED)) as source:
            for key in source.scan_iter("*", count=1000):
                source.copy(key, key, destination_db=database)
        engine = ledger.connect(self.database_url)
        with engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE job, ticket, notification, event CASCADE")
        engine.dispose()


@contextmanager
def ground() -> Iterator[Ground]:
    """Servers that keep what they commit through a crash, as in production."""
    log.configure("ERROR")
    with (
        TemporaryDirectory(prefix="unhurried-bench-") as directory,
        start_postgres(Path(directory), durable=True) as postgres,
        start_redis(Path(directory)) as server,
    ):
        database_url = create_database(postgres.url, "bench")
        migrate.upgrade(database_url)
        yield Ground(server.url.rpartition("/")[0], database_url)


def publish(where: Ground, *, plain: int = 0, chords: int = 0, parts: int = 0) -> None:
    """Publish as a caller does: plain calls, and chords whose body is the caller's own task."""
    url = where.redis_url(PUBLISHED)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    caller = Celery("caller", broker=url, backend=url)
    caller.set_current()
    for number in range(plain):
        _signature(number).apply_async(ignore_result=False)
    for number in range(chords):
        header = [_signature(plain + number * parts + part) for part in range(parts)]
        chord(header)(caller.signature("caller.body"))


def _signature(number: int) -> Any:
    turns = [{"role": "user", "content": f"Number {number}. {PROMPT}"}]
    return messages.s(model="claude-haiku-4-5", max_tokens=50, messages=turns, tier="batch")


def rate(count: int, work: Callable[[], object]) -> float:
    """How many a second, where `work` does `count`."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def middle(rates: list[float]) -> float:
    """The round that stands for the others."""
    return statistics.median(rates)
