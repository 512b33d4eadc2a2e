"""The table itself: each kind of wrong turns its cell red, and every mutant still fits and names a cell."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dev.stack import ROOT
from tests.faults import breaking
from tests.faults.cells import Expected, Seen, is_at_rest, measure
from tests.faults.rows import ROWS
from tests.faults.run import DIRECTED, Wanted, play

EXPECTED = Expected(jobs=4, bodies=1, mails=1)


def landed(number: int) -> dict[str, Any]:
    """The link of a job ran."""
    said = f"row anthropic is number {number}."
    return {"event": "landed", "number": number, "said": said, "nano_usd": 10}


BODY = {
    "event": "body",
    "said": ["row anthropic is number 2.", "row anthropic is number 3."],
    "nano_usd": [10, 10],
}
FINE = Seen(
    events=(landed(0), landed(1), BODY),
    billed=dict.fromkeys(range(4), 1),
    billed_nano_usd=dict.fromkeys(range(4), 10),
    mails={"row-anthropic-0@example.org": 1},
)


def bad(seen: Seen, *, fired: int = 1, trouble: str = "") -> list[str]:
    """Which columns are wrong."""
    return measure(
        seen, EXPECTED, row="row", provider="anthropic", fired=fired, trouble=trouble
    ).bad


def test_a_cell_where_everything_came_once_is_fine() -> None:
    """Two links, a body of two, a mail, four lines."""
    assert [] == bad(FINE)
    assert is_at_rest(FINE, EXPECTED)


@pytest.mark.parametrize(
    ("seen", "wrong"),
    [
        (replace(FINE, events=(landed(0), BODY)), "lost"),
        (replace(FINE, billed={0: 2, 1: 1, 2: 1, 3: 1}), "bought twice"),
        (replace(FINE, events=(*FINE.events, landed(1))), "surplus runs"),
        (replace(FINE, events=(*FINE.events, BODY)), "chord bodies"),
        (replace(FINE, events=(landed(0), landed(1))), "chord bodies"),
        (replace(FINE, mails={"row-anthropic-0@example.org": 2}), "mails"),
        (replace(FINE, mails={}), "mails"),
        (replace(FINE, billed_nano_usd=dict.fromkeys(range(4), 9)), "books"),
        (replace(FINE, events=(*FINE.events, {"event": "failed"})), "failed"),
    ],
)
def test_each_kind_of_wrong_is_seen(seen: Seen, wrong: str) -> None:
    """What was planted is named."""
    assert wrong in bad(seen)


def test_a_cell_whose_fault_never_struck_is_bad() -> None:
    """It has shown nothing."""
    assert ["fired"] == bad(FINE, fired=0)
    assert ["held"] == bad(FINE, trouble="held")


@pytest.mark.parametrize("name", breaking.mutants())
def test_every_mutant_fits_the_sources_and_names_a_cell(name: str, tmp_path: Path) -> None:
    """A patch that does not apply any more tests nothing."""
    mutant = breaking.mutants()[name]
    breaking.copy(tmp_path)
    breaking.apply(mutant, tmp_path)

    assert mutant.what
    assert mutant.cells
    assert set() == set(mutant.cells) - ROWS.keys() - DIRECTED.keys()


@pytest.mark.parametrize("name", DIRECTED)
def test_every_directed_cell_names_a_test(name: str) -> None:
    """One that is not there is red whatever is broken."""
    path, _, function = DIRECTED[name].partition("::")
    assert f"def {function or 'test_'}" in (ROOT / path).read_text()


def test_a_cut_of_the_table_is_fine(tmp_path: Path) -> None:
    """Two rows with a few jobs; `make test-faults` plays all of them with two hundred a cell."""
    rows = ["reply lost on create", "truncated file"]

    cells = play(Wanted(rows, [], 40, tmp_path), lambda _: None)

    assert {f"{cell.row}/{cell.provider}": [] for cell in cells} == {
        f"{cell.row}/{cell.provider}": cell.bad for cell in cells
    }
    assert 4 == len(cells)
