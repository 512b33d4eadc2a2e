"""Every canvas shape, from every caller, at every provider, to both ends: as if a worker had run it."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from dev.stack import Stack
from tests.road import matrix_run
from tests.road.callers import STEPS, Caller
from tests.road.cells import CELLS
from tests.road.conftest import MATRIX, lines
from tests.road.matrix.asking import PROVIDERS, Cell, request
from tests.road.verdicts import OK, Seen


@pytest.fixture(scope="module")
def callers(
    caller: Caller, django_caller: Caller, flask_caller: Caller
) -> Iterator[dict[str, Caller]]:
    """Every caller, its worker running."""
    hasty = matrix_run.hasty(caller).worker(include=STEPS)
    yield {"plain": caller, "django": django_caller, "flask": flask_caller}
    hasty.terminate()


@pytest.fixture(scope="module")
def seen(callers: dict[str, Caller], request: pytest.FixtureRequest) -> Seen:
    """What the callers saw; the matrix is printed at the end of the run."""
    found = matrix_run.run(callers)
    request.config.stash[MATRIX] = {cell: found.verdict(cell) for cell in CELLS}
    return found


@pytest.mark.parametrize("cell", CELLS, ids=[cell.id for cell in CELLS])
def test_a_cell_of_the_matrix(seen: Seen, cell: Cell) -> None:
    """
    The caller gets the result that is to come, and its callbacks, bodies and errbacks run once each.
    """
    assert OK == seen.verdict(cell)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_get_returns_the_answer_with_its_times(seen: Seen, provider: str) -> None:
    """
    AsyncResult.get gives the wire result: output, usage, price, as_of and produced_at.
    """
    value = _value(seen, provider, "single")

    assert (1, "batch") == (value["schema"], value["tier"])
    assert "queue" in value["output"].lower()
    assert value["as_of"] < value["produced_at"]
    assert value["usage"]["input_tokens"] > 0
    assert value["cost_nano_usd"] > 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_returned_error_says_whether_to_try_again(seen: Seen, provider: str) -> None:
    """
    With the policy `return`, the task succeeds and its result says what went wrong.
    """
    cell = Cell("plain", provider, fails=True, shape="single, error returned")

    assert seen.results[cell.id]["value"]["error"]["retryable"] is False


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_previous_step_becomes_the_users_turn(seen: Seen, provider: str) -> None:
    """
    Text that the step before returns is what the model is asked.
    """
    assert "mountains" in _value(seen, provider, "chain, ours last")["output"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_same_keys_in_two_chords_are_bought_once(
    seen: Seen, stack: Stack, provider: str
) -> None:
    """
    Two chords over the same keys each run their body; each key is one request at the provider.
    """
    cell = Cell("plain", provider, fails=False, shape="the same keys in two chords")
    assert OK == seen.verdict(cell)

    assert [1] * 4 == [_times_billed(stack, provider, cell.prompt(number)) for number in range(4)]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_same_key_twice_in_a_chord_is_bought_once(
    seen: Seen, stack: Stack, provider: str
) -> None:
    """
    Two parts of one chord with one key are one request.
    """
    cell = Cell("plain", provider, fails=False, shape="the same key twice in a chord")
    assert OK == seen.verdict(cell)

    assert 1 == _times_billed(stack, provider, cell.prompt(0))


def _value(seen: Seen, provider: str, shape: str) -> dict[str, Any]:
    cell = Cell("plain", provider, fails=False, shape=shape)
    value: dict[str, Any] = seen.results[cell.id]["value"]
    return value


def _times_billed(stack: Stack, provider: str, prompt: str) -> int:
    """How often the provider billed this very prompt."""
    asked = json.dumps(request(provider, prompt), sort_keys=True)
    digest = hashlib.sha256(asked.encode()).hexdigest()
    return sum(line["prompt"] == digest for line in lines(stack))
