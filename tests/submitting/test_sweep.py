"""Nothing is sent before every batch of the workspace is accounted for: after a start, after a restore."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine

from app.ledger import engine as ledger
from app.ledger import replay
from tests.providers.adapters import ENDPOINTS, KINDS
from tests.simulator.conftest import say
from tests.submitting.conftest import Road
from tests.submitting.test_collecting import RESULTS
from tests.submitting.test_search import assert_bought_once
from tests.support import databases
from tests.support.waiting import wait_until

JOBS = 20
#: Long enough that nothing is declared absent while the test looks.
LONG = timedelta(hours=1)

Restore = Callable[[], Road]


@pytest.fixture
def backups(road: Road, postgres_url: str) -> Iterator[Callable[[], Restore]]:
    """Back the ledger up now; what that gives makes a deployment over the backup, later."""
    engines: list[Engine] = []
    urls: list[str] = []

    def back_up() -> Restore:
        road.engine.dispose()
        name = str(road.engine.url.database)
        urls.append(databases.copy_template(postgres_url, name))

        def restore() -> Road:
            engines.append(ledger.connect(urls[-1], synchronous_commit=False))
            return replace(road, engine=engines[-1])

        return restore

    yield back_up
    for engine in engines:
        engine.dispose()
    for url in urls:
        databases.drop(postgres_url, url)


def send(road: Road) -> None:
    """Hand over what waits."""
    road.packer.run()
    road.submitter.run()
    assert ["accepted"] == road.states()


def test_batches_made_after_a_backup_are_brought_in_before_anything_is_sent(
    road: Road, backups: Callable[[], Restore]
) -> None:
    """
    The restored ledger has never heard of the batch: its answers are used, and no job is bought again.
    """
    road.admit(JOBS)
    restore = backups()
    send(road)
    restored = restore()
    restored.packer.run()
    restored.submitter.run()
    assert [] == restored.states()

    restored.until_done(JOBS)

    assert [] == restored.states()
    assert_bought_once(restored)
    assert [(True, True)] == restored.rows("SELECT wanted, closed_at IS NOT NULL FROM stray")


@pytest.mark.parametrize(
    ("fault", "share"), [("truncate", 0.5), ("drop_lines", 0.5), ("drop_lines", 1)], ids=str
)
def test_what_is_brought_in_over_a_backup_is_read_until_it_is_whole(
    road: Road, backups: Callable[[], Restore], fault: str, share: float
) -> None:
    """
    The first file of the forgotten batch lacks lines: what they answer is not bought again for it.
    """
    road.admit(JOBS)
    restore = backups()
    send(road)
    wait_until(lambda: road.simulator.books()["lines"] == JOBS, within_s=30, what="its end")
    restored = restore()
    # Who asks whose it is reads Anthropic's file as well.
    looks = {"anthropic": 2, "openai": 1}[road.name]
    road.arm(fault, method="GET", path=RESULTS[road.name], share=share, times=looks)
    restored.until_done(JOBS)

    assert [] == restored.states()
    assert_bought_once(restored)
    assert [looks] == [one["fired"] for one in road.simulator.ask("/_faults")]


@pytest.mark.parametrize("empty_after", [timedelta(days=-365)], ids=["late"])
def test_what_stays_short_of_a_forgotten_batch_holds_nobody_up(
    road: Road, backups: Callable[[], Restore], empty_after: timedelta
) -> None:
    """
    Some of its lines never ran and are in no file: their jobs go once the file has been read often enough.
    """
    road.admit(JOBS)
    restore = backups()
    road.arm("omit_lines", share=0.3)
    send(road)
    restored = replace(restore(), empty_after=empty_after)

    restored.until_done(JOBS)

    assert ["collected"] == restored.states()
    assert_bought_once(restored)


def replayed(road: Road, *, after: int) -> dict[UUID | None, int]:
    """Results of the workload beyond a number, as a consumer is given them: each with its own."""
    endpoint = ENDPOINTS[road.name]
    with road.engine.begin() as connection:
        replay.number(connection, tenant="default", workload="notes")
        found, _ = replay.results(
            connection,
            tenant="default",
            workload="notes",
            endpoint=endpoint,
            after=after,
            limit=100,
            bytes_max=1_000_000,
        )
    return {one.job.result_id: one.number for one in found}


def test_what_is_brought_in_over_a_backup_comes_after_every_cursor(
    road: Road, backups: Callable[[], Restore]
) -> None:
    """
    A consumer had read it before, and is given the same results again.
    """
    road.admit(JOBS, workload="notes")
    restore = backups()
    send(road)
    road.until_done(JOBS)
    seen = replayed(road, after=0)

    restored = restore()
    restored.until_done(JOBS)
    again = replayed(restored, after=max(seen.values()))

    assert JOBS == len(seen)
    assert seen.keys() == again.keys()


def test_a_pack_that_was_sent_after_a_backup_is_adopted(
    road: Road, backups: Callable[[], Restore]
) -> None:
    """
    The restored ledger has the pack and thinks that it was never sent.
    """
    road.admit(JOBS)
    road.packer.run()
    restore = backups()
    send(road)
    restored = restore()

    restored.until_done(JOBS)

    assert ["collected"] == restored.states()
    assert_bought_once(restored)


def test_a_pack_made_anew_after_a_backup_is_not_bought_twice(
    road: Road, backups: Callable[[], Restore]
) -> None:
    """
    Sent after the backup, found absent, sent again: the restored ledger has the pack, and neither batch.
    """
    road.admit(JOBS)
    road.packer.run()
    restore = backups()
    road.arm("error_instead")
    road.until_done(JOBS)
    assert ["absent", "collected"] == road.states()
    restored = restore()

    restored.until_done(JOBS)

    assert ["void"] == restored.states()
    assert_bought_once(restored)


def test_a_ledger_that_is_restored_under_a_running_process_is_noticed(
    road: Road, postgres_url: str, backups: Callable[[], Restore]
) -> None:
    """
    The process that made the batch goes on over the backup: it looks anew before it sends.
    """
    road.admit(JOBS)
    # Something to remember: a ledger without any event has nothing to forget.
    road.packer.run()
    restore = backups()
    road.submitter.run()
    road.sweep_now()
    copied = restore()
    _swap(postgres_url, road.engine, copied.engine)

    road.until_done(JOBS)

    assert_bought_once(road)


@pytest.mark.parametrize("road", KINDS[:1], ids=["anthropic"], indirect=True)
def test_a_running_batch_that_nobody_can_name_closes_the_lane(road: Road) -> None:
    """
    Until its results are there it may be ours; it is not touched, and what waits goes afterwards.
    """
    theirs = road.simulator.messages_batch({f"note-{n}": say(f"Hi {n}.") for n in range(3)}).id
    started = replace(road)
    started.admit(JOBS)
    started.packer.run()
    started.submitter.run()
    ((reason,),) = started.rows("SELECT held_because FROM sweep")
    assert [] == started.states()
    assert f"may be ours or somebody else's ({theirs})" in reason

    started.until_done(JOBS)

    batch = road.simulator.anthropic.messages.batches.retrieve(theirs)
    assert (3, 0) == (batch.request_counts.succeeded, batch.request_counts.canceled)
    assert [(theirs, False)] == started.rows("SELECT provider_batch_id, ours FROM stray")
    assert [1] * (JOBS + 3) == list(road.bought().values())


@pytest.mark.parametrize("road", KINDS[1:], ids=["openai"], indirect=True)
def test_unmarked_batches_close_nothing_where_ours_are_marked(road: Road) -> None:
    """
    OpenAI lists metadata: what carries none of ours is somebody else's.
    """
    road.simulator.responses_batch([_line(n) for n in range(3)])
    started = replace(road)
    started.admit(JOBS)

    send(started)

    assert [] == started.rows("SELECT * FROM stray")


def test_nothing_is_sent_while_batches_cannot_be_listed(road: Road) -> None:
    """
    Not knowing is no reason to send.
    """
    path = {"anthropic": "/v1/messages/batches", "openai": "/v1/batches"}[road.name]
    road.arm("error_instead", method="GET", path=path, status=500, times=3)
    started = replace(road)
    started.admit(3)
    started.packer.run()
    started.submitter.run()
    assert [] == started.states()

    started.until_done(3)


def test_two_deployments_of_one_name_leave_each_other_alone(
    road: Road, postgres_url: str, template_database: str
) -> None:
    """
    Both are called "tests" and share a workspace; each has a ledger of its own.
    """
    url = databases.copy_template(postgres_url, template_database)
    engine = ledger.connect(url, synchronous_commit=False)
    other = replace(road, engine=engine, deployment="tests/other")
    try:
        road.admit(3)
        other.admit(3, account=None)
        send(road)
        other.until_done(3)
        road.until_done(3)
        assert [] == other.rows("SELECT * FROM stray WHERE ours")
        assert [] == road.rows("SELECT * FROM stray WHERE ours")
    finally:
        engine.dispose()
        databases.drop(postgres_url, url)


def test_a_lost_create_under_an_earlier_name_is_found_and_not_bought_again(road: Road) -> None:
    """
    The deployment was called otherwise when its create lost its reply, and the batch has ended before the
    first look: it is adopted, and nobody's stray.
    """
    road.admit(JOBS)
    road.arm("reply_lost")
    road.packer.run()
    road.submitter.run()
    assert ["unknown"] == road.states()
    wait_until(lambda: road.simulator.books()["lines"] == JOBS, within_s=30, what="the batch's end")

    renamed = replace(road, deployment="tests/renamed")
    renamed.until_done(JOBS)

    assert_bought_once(renamed)
    assert [] == renamed.rows("SELECT * FROM stray")


def _swap(server_url: str, engine: Engine, backup: Engine) -> None:
    """Put a backup in the place of a ledger, as a person does who restores it."""
    engine.dispose()
    backup.dispose()
    name, copy = engine.url.database, backup.url.database
    plain = server_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{copy}"'.encode())


def _line(number: int) -> dict[str, object]:
    return {
        "custom_id": f"note-{number}",
        "method": "POST",
        "url": "/v1/responses",
        "body": {"model": "gpt-5-mini", "input": f"Hi {number}."},
    }
