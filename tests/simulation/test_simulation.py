"""Seeded schedules over the production code: a cut of them here, all of them by `make test-all`."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.simulation import plans
from tests.simulation.chance import Deed
from tests.simulation.schedule import Theatre
from tests.simulation.theatre import opened

pytestmark = pytest.mark.filterwarnings(
    # A process that is killed while it streams rows closes no cursor.
    "ignore:Exception ignored in. <function ServerCursorMixin.__del__"
)
STRICT = 10
WEAK = 3
DIRECTED = 8


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    """A ledger for one schedule after another."""
    with opened() as found:
        yield found


@pytest.mark.parametrize("seed", range(1, STRICT + 1))
def test_a_schedule_comes_to_rest_and_breaks_no_promise(theatre: Theatre, seed: int) -> None:
    """
    Whatever dies, stands still or loses its connection: each job has one end and one bill.
    """
    assert [] == theatre.play(seed).violations


@pytest.mark.parametrize("seed", range(1, WEAK + 1))
def test_the_money_is_exact_even_where_creates_arrive_at_any_time(
    theatre: Theatre, seed: int
) -> None:
    """
    A create that lands after it was given up is found, ended and booked.
    """
    assert [] == theatre.play(seed, weak=True).violations


def test_one_thing_that_goes_wrong_changes_nothing(theatre: Theatre) -> None:
    """
    A sample of the cases in which every edge is struck in every way.
    """
    cases = plans.directed(theatre, pairs=4, faults=["nothing", "create_lost"])
    sample = Random(2).sample(cases, DIRECTED)  # noqa: S311 - repeatable, not secret

    assert {} == {
        case.name: outcome.violations
        for case in sample
        if (outcome := case.play(theatre)).violations
    }


def test_a_seed_gives_the_same_schedule_again(theatre: Theatre) -> None:
    """
    To the letter: what went wrong once can be looked at again.
    """
    first, second, other = theatre.play(3), theatre.play(3), theatre.play(4)

    assert first.digest == second.digest
    assert first.digest != other.digest


def test_what_is_laid_down_for_a_schedule_happens_there(theatre: Theatre) -> None:
    """
    The packer dies when the provider has the batch and it does not know; the batch is adopted.
    """
    case = plans.Case(
        name="kill after accept",
        mix=plans.still(),
        plan={("provider.create:after", 1): Deed.KILL},
    )
    outcome = case.play(theatre)

    assert [] == outcome.violations
    assert {"provider.create:after": 1} == dict(outcome.killed)
    assert 1 == outcome.counts["adopted"]
