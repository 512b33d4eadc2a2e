"""A queue's depth is recorded once a minute and kept for a day."""

from datetime import timedelta

from sqlalchemy import Engine

from app.ledger import depths
from app.policy.depths import Depth
from tests.support import answering
from tests.support.factories import NOW, an_admission


def recorded(engine: Engine, *, at: timedelta = timedelta()) -> None:
    with engine.begin() as connection:
        depths.record(connection, at=NOW + at)


def known(engine: Engine, *, at: timedelta = timedelta()) -> dict[str, list[Depth]]:
    """What a look reads, by tier."""
    found: dict[str, list[Depth]] = {}
    with engine.connect() as connection:
        for one in depths.read(connection, at=NOW + at):
            found.setdefault(one.tier, []).append(one)
    return found


def test_what_waits_is_recorded_for_each_tier_that_waits_here(engine: Engine) -> None:
    """
    Also where nothing does; the sync tier waits in Redis alone.
    """
    later = timedelta(days=3650)
    calls = [an_admission(f"task-{n}", tier="batch") for n in range(3)]
    job_ids = answering.admit(engine, [*calls, an_admission("soon", tier="near-real-time")])
    answering.answer(engine, job_ids[:1])
    recorded(engine, at=later)
    found = known(engine, at=later)

    assert {"batch", "near-real-time"} == found.keys()
    (batch,), (soon,) = found["batch"], found["near-real-time"]
    assert (2, 3, 1) == (batch.waiting_count, batch.queued_count, batch.opened_count)
    assert (1, 1, 0) == (soon.waiting_count, soon.queued_count, soon.opened_count)


def test_a_minute_is_recorded_once(engine: Engine) -> None:
    """
    By whoever comes first: two processes may do the same upkeep.
    """
    recorded(engine)
    answering.admit(engine, [an_admission()])
    recorded(engine, at=timedelta(seconds=59))
    assert [0] == [one.waiting_count for one in known(engine)["batch"]]
    recorded(engine, at=timedelta(minutes=1))

    ahead = timedelta(minutes=2)
    assert [NOW, NOW + timedelta(minutes=1)] == [one.at for one in known(engine, at=ahead)["batch"]]


def test_a_look_reads_what_it_shows_and_a_day_is_kept(engine: Engine) -> None:
    """
    What is older than a day goes with the next record; counters go on from where they were.
    """
    for hours in (0, 10, 17, 23):
        recorded(engine, at=timedelta(hours=hours))
    now = timedelta(hours=24, minutes=1)
    recorded(engine, at=now)
    shown = [one.at - NOW for one in known(engine, at=now)["batch"]]
    with engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT min(at), count(*) FROM depth").one()

    assert [timedelta(hours=23), now] == shown
    assert (NOW + timedelta(hours=10), 2 * 4) == tuple(kept)
