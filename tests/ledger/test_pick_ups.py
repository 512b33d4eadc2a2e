"""Pick-ups and consumers in the ledger, out of the stream that readers write."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from app.ledger import pick_ups
from app.upkeep.pick_ups import PickUps
from tests.support.factories import NOW, uuid
from unhurried.readers import PICK_UPS_KEY, Declaration, PickUp

PAGE = Declaration(name="profile-page", workload="notes", max_staleness_s=60, owner="web")


def rows(engine: Engine, query: str) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_a_pick_up_counts_once(engine: Engine) -> None:
    """
    The same note twice changes nothing; the first and the last moment of each reader are kept.
    """
    later = NOW + timedelta(hours=1)
    notes = [
        PickUp(consumer=PAGE, result_ids=(uuid(1), uuid(1)), picked_up_at=later),
        PickUp(consumer=PAGE, result_ids=(uuid(1),), picked_up_at=NOW),
        PickUp(result_ids=(uuid(1), uuid(2)), picked_up_at=NOW),
    ]
    for _ in range(2):
        with engine.begin() as connection:
            pick_ups.record(connection, notes, at=later)

    assert [
        (uuid(1), "", NOW, NOW),
        (uuid(1), "profile-page", NOW, later),
        (uuid(2), "", NOW, NOW),
    ] == rows(engine, "SELECT * FROM pick_up ORDER BY 1, 2")


def test_a_consumer_stands_as_it_was_last_declared(engine: Engine) -> None:
    """
    A note that arrives late does not bring an older declaration back.
    """
    newer = PAGE.model_copy(update={"max_staleness_s": 30.0})
    notes = [
        PickUp(consumer=newer, result_ids=(), picked_up_at=NOW + timedelta(hours=1)),
        PickUp(consumer=PAGE, result_ids=(), picked_up_at=NOW),
    ]
    with engine.begin() as connection:
        pick_ups.record(connection, notes, at=NOW + timedelta(hours=2))

    assert [("profile-page", 30.0, "web")] == rows(
        engine, "SELECT name, max_staleness_s, owner FROM consumer"
    )


def test_a_reader_whose_clock_runs_ahead_read_it_now(engine: Engine) -> None:
    """
    No pick-up lies in the ledger's future.
    """
    ahead = PickUp(result_ids=(uuid(1),), picked_up_at=NOW + timedelta(days=1))
    with engine.begin() as connection:
        pick_ups.record(connection, [ahead], at=NOW)

    assert [(NOW,)] == rows(engine, "SELECT last_at FROM pick_up")


def test_the_stream_is_emptied_into_the_ledger(engine: Engine, redis_client: redis.Redis) -> None:
    """
    What was read is recorded; what cannot be understood is kept aside and holds nothing up.
    """
    good = PickUp(consumer=PAGE, result_ids=(uuid(1),), picked_up_at=datetime.now(UTC))
    redis_client.xadd(PICK_UPS_KEY, {"pick_up": "nonsense"})
    redis_client.xadd(PICK_UPS_KEY, {"pick_up": good.model_dump_json()})
    redis_client.xadd(PICK_UPS_KEY, {"other": "field"})
    intake = PickUps(engine=engine, client=redis_client, key_prefix="")

    assert (1, 0) == (intake.take_in(), intake.take_in())
    assert 0 == redis_client.xlen(PICK_UPS_KEY)
    assert [(uuid(1), "profile-page")] == rows(engine, "SELECT result_id, consumer FROM pick_up")
    assert [("pick-ups",), ("pick-ups",)] == rows(engine, "SELECT source FROM quarantine")


HOSTILE = {
    "NUL in an owner": {"consumer": {**PAGE.model_dump(), "owner": "a\0b"}},
    "a moment before the calendar": {"picked_up_at": "0001-01-01T00:00:00+14:00"},
    "a moment after it": {"picked_up_at": "9999-12-31T23:59:59-14:00"},
    "a moment that is NaN": {"picked_up_at": float("nan")},
    "an age that is NaN": {"consumer": {**PAGE.model_dump(), "max_staleness_s": float("nan")}},
    "an id that is none": {"result_ids": ["a\0b"]},
    "1,001 results": {"result_ids": [str(uuid(n)) for n in range(1001)]},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pick_up_is_kept_aside(
    engine: Engine, redis_client: redis.Redis, name: str
) -> None:
    """
    What no column can hold is in quarantine, and the entry beside it is recorded.
    """
    good = PickUp(consumer=PAGE, result_ids=(uuid(1),), picked_up_at=datetime.now(UTC))
    hostile = json.dumps(json.loads(good.model_dump_json()) | HOSTILE[name])
    redis_client.xadd(PICK_UPS_KEY, {"pick_up": hostile})
    redis_client.xadd(PICK_UPS_KEY, {"pick_up": good.model_dump_json()})

    assert 1 == PickUps(engine=engine, client=redis_client, key_prefix="").take_in()
    assert [("pick-ups",)] == rows(engine, "SELECT source FROM quarantine")
