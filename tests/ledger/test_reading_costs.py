"""What people and Prometheus ask is answered by indexes, however much the ledger holds."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
import redis
from sqlalchemy import Engine, text

from app.ledger import changing, depths, listing, marking_read, measures, telling_again
from app.ledger import engine as ledger
from app.ledger.listing import JobFilter
from app.ledger.under_way import LIVE_MAX
from app.policy.lifecycle import JobState
from app.policy.standing import Limits
from app.policy.subjects import OF_RESULTS
from app.standing.archive import Archive
from app.standing.doctor import Configured, Doctor
from app.standing.look import Look
from app.upkeep.counting import Counting
from tests.ledger import large
from tests.support import databases

#: Rows of a table that one statement may read one after the other. Batches are few, and half of them are wanted.
SCANNED_MAX: Final = {"job": 0, "ticket": 0, "submission": LIVE_MAX}
#: Pages that one statement may touch: 80 MB, a tenth of a second where they are in memory.
BUFFERS_MAX: Final = 10_000
LIFETIME: Final = timedelta(days=8)


@pytest.fixture(scope="module")
def engine(postgres_url: str, template_database: str) -> Iterator[Engine]:
    """A large ledger, which nobody here changes for good."""
    url = databases.copy_template(postgres_url, template_database)
    large.fill(url)
    found = ledger.connect(url)
    yield found
    found.dispose()
    databases.drop(postgres_url, url)


def named(engine: Engine) -> Mapping[str, str]:
    """A name of every kind that a person may have in the hand."""
    with engine.connect() as connection:
        row = connection.execute(
            text("""
                SELECT id::text AS job, result_id::text AS result, provider_request_id AS request, key,
                       subject FROM job WHERE state = 'succeeded' LIMIT 1
            """)
        ).one()
    names = dict(row._asdict())
    return {**names, "task": "task-100", "batch": "batch_5000", "nothing": "nobody"}


def look(engine: Engine, client: redis.Redis) -> Look:
    """As `status`, pages and metrics look."""
    limits = Limits(linger=timedelta(minutes=5), pick_up_within=timedelta(hours=1), periods={})
    return Look(
        engine=engine,
        client=client,
        key_prefix="",
        limits=limits,
        result_lifetime=LIFETIME,
        daily_limits={},
    )


def doctor(engine: Engine, client: redis.Redis) -> Doctor:
    configured = Configured(
        spool_directory=Path.cwd(),
        accounts=(),
        receivers=(),
        has_mail_server=False,
        pick_up_within_s=1,
        result_lifetime_s=2,
        linger_s=0,
        pack_every_s=1,
        is_priced=lambda _provider, _model: True,
        files={},
    )
    return Doctor(engine=engine, client=client, configured=configured)


def lookups(engine: Engine, names: Mapping[str, str]) -> Mapping[str, list[Callable[[], object]]]:
    """What a page or a command looks up, by the archive's own methods."""
    archive = Archive(engine=engine, result_lifetime=LIFETIME)
    states = (None, *map(str, JobState))
    filters = [
        JobFilter(state=state, workload=workload)
        for state in states
        for workload in (None, "workload-3")
    ]
    return {
        "jobs": [lambda one=one: archive.jobs(one, limit=100) for one in filters],  # type: ignore[misc]  # bound now
        "unread": [lambda: archive.unread(limit=listing.ROWS_MAX)],
        "named": [lambda one=one: archive.named(one) for one in names.values()],  # type: ignore[misc]  # bound now
        "batch": [lambda: archive.batch(names["batch"])],
        "job": [lambda: archive.job(names["job"])],
        "run": [lambda: archive.run(str(UUID(int=1)))],
        "action": [lambda: archive.action(UUID(int=1))],
    }


def readings(engine: Engine, names: Mapping[str, str]) -> None:
    """What a reading for metrics and pages holds beside how everything stands, and who a wish is about."""
    with engine.connect() as connection:
        measures.measured(connection)
        depths.read(connection, at=ledger.now(connection))
        for word in names.values():
            found = changing.resolve(connection, word, kinds=OF_RESULTS)
            if found is not None:
                marking_read.page(connection, found, after=0, hold=False)
                telling_again.count(connection, found, limit=100)


def test_every_lookup_of_the_archive_is_here(engine: Engine) -> None:
    """
    A method that is new comes with what it costs.
    """
    methods = {
        name for name, _ in inspect.getmembers(Archive, inspect.isfunction) if name[0] != "_"
    }

    assert methods == lookups(engine, named(engine)).keys()


def test_ten_thousand_batches_are_read_by_indexes(
    engine: Engine, redis_client: redis.Redis
) -> None:
    """
    And of two hundred thousand jobs none is read that nobody asked for.
    """
    names = named(engine)
    with large.asked(engine) as statements:
        assert look(engine, redis_client).run().standing.ledger_error is None
        doctor(engine, redis_client).examine()
        readings(engine, names)
        for several in lookups(engine, names).values():
            for one in several:
                one()
        Counting(engine=engine, result_lifetime=LIFETIME).run()
    assert len(statements) > 50
    with engine.connect() as connection:
        costs = [large.cost(connection, *asked) for asked in statements]
        connection.rollback()

    for cost in costs:
        for table, most in SCANNED_MAX.items():
            assert cost.scanned.get(table, 0) <= most, cost
        assert cost.buffers <= BUFFERS_MAX, cost


def test_a_look_without_an_index_is_noticed(engine: Engine) -> None:
    """
    Jobs by a column that no index has.
    """
    with engine.connect() as connection:
        found = large.cost(connection, "SELECT id FROM job WHERE as_of < now()", {})

    assert large.JOBS == found.scanned["job"]
