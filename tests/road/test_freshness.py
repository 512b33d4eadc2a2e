"""Freshness over the whole road: who may use an answer, counted from when its input was true."""

import json
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from dev.stack import Stack
from tests.road.callers import Caller
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def fresh(caller: Caller) -> dict[str, Any]:
    """What the caller got."""
    process = caller.start("fresh", "fresh.py")
    assert 0 == process.wait(within_s=150), process.tail()
    found: dict[str, Any] = json.loads(process.tail().splitlines()[-1])
    return found


def test_a_chord_body_refuses_stale_inputs(fresh: dict[str, Any], caller: Caller) -> None:
    """
    A body that tolerates an hour does not run on an input of two hours ago, however new the answers
    are; on fresh inputs it runs once.
    """
    assert 3600 == fresh["stale"]["tolerated_s"]
    assert 7200 <= fresh["stale"]["age_s"] < 7500
    assert {"value": "2 fresh of 2"} == fresh["fresh"]
    assert ["fresh"] == [run["name"] for run in caller.events("hourly_report")]


def test_the_newest_answer_is_by_as_of(fresh: dict[str, Any]) -> None:
    """
    Of two answers about one subject, the one whose input is newer is read.
    """
    assert fresh["expected"] == fresh["newest"]


def test_a_result_that_redis_lost_is_brought_back(fresh: dict[str, Any]) -> None:
    """
    A read asks the service, and the service has the ledger.
    """
    assert fresh["brought back"]


def test_pick_ups_reach_the_ledger(fresh: dict[str, Any], stack: Stack) -> None:
    """
    Each consumer is known with its owner, and which results it has read; a refused body read none.
    """
    assert fresh
    engine = create_engine(
        stack.variables["UNHURRIED_DATABASE_URL"].replace(
            "postgresql://", "postgresql+psycopg://", 1
        )
    )

    def seen() -> bool:
        with engine.connect() as connection:
            rows = connection.execute(
                text("""
                    SELECT name, owner, count(*) FROM consumer
                    JOIN pick_up ON pick_up.consumer = consumer.name GROUP BY 1, 2
                """)
            )
            return {("hourly-report", "growth", 2), ("clock-page", "web", 1)} <= {
                tuple(row) for row in rows
            }

    wait_until(seen, within_s=60, what="both consumers' pick-ups")
    engine.dispose()
