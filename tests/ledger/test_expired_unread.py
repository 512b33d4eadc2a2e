"""Results whose time ran out unread: counted once each, as it passes."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from app.ledger import engine as ledger
from app.ledger import expired_unread, measures
from app.upkeep.counting import Counting
from tests.support import answering
from tests.support.factories import NOW, an_admission

LIFETIME = timedelta(days=8)


def step(engine: Engine, at: datetime) -> bool:
    with engine.begin() as connection:
        return expired_unread.count(connection, at=at, lifetime=LIFETIME)


def counted(engine: Engine) -> int:
    with engine.connect() as connection:
        return sum(
            one.count
            for one in measures.measured(connection)
            if one.name == "results_expired_unread"
        )


def completed(engine: Engine, **columns: object) -> None:
    """A ticket that a task awaits, completed just after the first look's horizon."""
    answering.answer(engine, answering.admit(engine, [an_admission("task-1")]))
    values = {"awaited_by": "shop.report", "completed_at": NOW + timedelta(minutes=1)} | columns
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE ticket SET state = 'completed', awaited_by = :awaited_by,"
                " completed_at = :completed_at, picked_up_at = :picked_up_at,"
                " in_chord = :in_chord, follower_id = 'body'"
            ),
            {"picked_up_at": None, "in_chord": False} | values,
        )


def test_an_unread_result_counts_once_when_its_time_is_over(engine: Engine) -> None:
    """
    Not before, and not again.
    """
    step(engine, NOW + LIFETIME)
    completed(engine)
    step(engine, NOW + LIFETIME + timedelta(seconds=59))
    assert 0 == counted(engine)
    for _ in range(2):
        assert step(engine, NOW + LIFETIME + timedelta(minutes=2))

    assert 1 == counted(engine)


@pytest.mark.parametrize(
    "columns",
    [
        {"picked_up_at": NOW + timedelta(hours=1)},
        {"awaited_by": None},
        {"awaited_by": "@a-workload-without-consumers"},
        # Its chord's body has not been published: nobody could have read it.
        {"in_chord": True},
    ],
    ids=["read", "nobody awaits it", "no consumer is declared", "a chord that goes on"],
)
def test_what_nobody_missed_is_not_counted(engine: Engine, columns: dict[str, object]) -> None:
    """
    As `status` would not have named it.
    """
    step(engine, NOW + LIFETIME)
    completed(engine, **columns)
    step(engine, NOW + LIFETIME + timedelta(minutes=2))

    assert 0 == counted(engine)


def test_a_long_pause_is_caught_up_with_an_hour_at_a_time(engine: Engine) -> None:
    """
    Nothing that ran out meanwhile is left out.
    """
    step(engine, NOW + LIFETIME)
    completed(engine, completed_at=NOW + timedelta(hours=2, minutes=30))
    later = NOW + LIFETIME + timedelta(hours=3)

    assert [False, False, True] == [step(engine, later) for _ in range(3)]
    assert 1 == counted(engine)


def test_a_round_counts_and_folds(engine: Engine) -> None:
    """
    Nothing is left to fold, whatever was tallied in it.
    """
    with engine.connect() as connection:
        now = ledger.now(connection)
    step(engine, now - timedelta(hours=1))
    completed(engine, completed_at=now - LIFETIME - timedelta(minutes=30))
    counting = Counting(engine=engine, result_lifetime=LIFETIME)
    counting.run()
    counting.run()

    assert 1 == counted(engine)
    with engine.connect() as connection:
        assert 0 == connection.execute(text("SELECT count(*) FROM tally")).scalar_one()
