"""Workers record when they look, cheaply, and a ledger that is away breaks none of their rounds."""

import pytest
from sqlalchemy import Engine, text

from app.ledger import engine as ledger
from app.policy.standing import BEAT
from app.standing.rounds import Rounds

PERIODS = {"pack": 10.0, BEAT: 5.0}


class Clock:
    """A monotonic clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def row(engine: Engine, name: str) -> dict[str, object]:
    with engine.connect() as connection:
        found = connection.execute(text("SELECT * FROM round WHERE name = :name"), {"name": name})
        return dict(found.mappings().one())


def names(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(text("SELECT name FROM round")).scalars())


def test_a_look_that_ends_well_is_recorded(engine: Engine) -> None:
    """
    Begun and ended; beat is known by what it asked for alone.
    """
    with Rounds(engine, PERIODS).look("pack"):
        assert row(engine, "pack")["last_succeeded_at"] is None

    found = row(engine, "pack")
    assert found["last_started_at"] is not None
    assert found["last_succeeded_at"] is not None
    assert found["last_failed_at"] is None
    assert {"pack"} == names(engine)


def test_a_wake_up_of_beats_tells_of_beat(engine: Engine) -> None:
    """
    Also where the look that it asks for fails.
    """
    with pytest.raises(ValueError, match="broken"):  # noqa: SIM117 - what raises stands inside
        with Rounds(engine, PERIODS).look("pack", asked_by_beat=True):
            raise ValueError("broken")

    assert row(engine, BEAT)["last_succeeded_at"] is not None
    assert row(engine, "pack")["last_succeeded_at"] is None
    assert "ValueError" == row(engine, "pack")["last_error"]


def test_many_looks_are_recorded_seldom(engine: Engine) -> None:
    """
    Of twenty looks within a second one is; of one two seconds later too.
    """
    clock = Clock()
    rounds = Rounds(engine, PERIODS, monotonic=clock)
    seen = []
    for now in (*[0.05 * number for number in range(20)], 2.5):
        clock.now = now
        with rounds.look("pack"):
            pass
        seen.append(row(engine, "pack")["last_succeeded_at"])

    assert 2 == len(set(seen))


def test_a_look_whose_beginning_is_recorded_ends_on_the_record(engine: Engine) -> None:
    """
    However lately another end was: a worker that is stopped afterwards is not taken for one that looks.
    """
    clock = Clock()
    rounds = Rounds(engine, PERIODS, monotonic=clock)
    for began, ended in ((0.0, 0.9), (2.1, 2.2)):
        clock.now = began
        with rounds.look("pack"):
            clock.now = ended

    found = row(engine, "pack")
    assert found["last_started_at"] < found["last_succeeded_at"]  # type: ignore[operator]


def test_a_ledger_that_is_away_breaks_no_look() -> None:
    """
    The look goes on, and what it raises goes up.
    """
    away = ledger.connect("postgresql+psycopg://127.0.0.1:1/nowhere")
    looked = []
    with Rounds(away, PERIODS).look("pack", asked_by_beat=True):
        looked.append(True)

    assert [True] == looked
    away.dispose()
