"""What follows from a look for a batch: never a second purchase on a guess."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy.names import Mark
from app.policy.searching import (
    Adopt,
    DeclareAbsent,
    Doubt,
    ListedBatch,
    LookAgain,
    NoteAbsent,
    Patience,
    Prove,
    Step,
    search_step,
)

LATEST = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATIENCE = Patience(settle=timedelta(minutes=30), again=timedelta(minutes=2))
OURS = Mark("dep123", "0000000000001")
SETTLED = LATEST + PATIENCE.settle


def doubt(*, file_id: str | None = None, absent_noted_at: datetime | None = None) -> Doubt:
    """A submission of seven that nobody knows the end of."""
    return Doubt(
        mark=OURS,
        jobs_count=7,
        file_id=file_id,
        not_after=LATEST,
        absent_noted_at=absent_noted_at,
    )


def batch(
    name: str,
    *,
    total: int = 7,
    ended: bool = False,
    mark: Mark | None = None,
    file_id: str | None = None,
    at: datetime = LATEST,
) -> ListedBatch:
    """One of a listing."""
    return ListedBatch(
        provider_batch_id=name,
        created_at=at,
        total=total,
        ended=ended,
        mark=mark,
        file_id=file_id,
    )


def step(one: Doubt, *listed: ListedBatch, now: datetime = LATEST) -> Step:
    """Decide."""
    return search_step(one, listed, taken=(), now=now, patience=PATIENCE)


@pytest.mark.parametrize(
    "found", [batch("b", mark=OURS), batch("b", file_id="file-1")], ids=["mark", "file"]
)
def test_a_mark_or_the_input_file_proves_a_batch(found: ListedBatch) -> None:
    """Either is ours alone, however many requests the batch says it has."""
    assert Adopt("b", proven=True) == step(doubt(file_id="file-1"), batch("x"), found)


def test_of_two_that_are_ours_the_older_is_adopted() -> None:
    """Somebody on the way repeated the create: the other one is surplus."""
    late, early = batch("a", mark=OURS, at=SETTLED), batch("b", mark=OURS)

    assert Adopt("b", proven=True, surplus=("a",)) == step(doubt(file_id="file-1"), late, early)


def test_another_deployments_mark_is_not_ours() -> None:
    """The same account serves several deployments."""
    theirs = batch("b", mark=Mark("dep999", OURS.token))

    assert isinstance(step(doubt(), theirs), LookAgain)


def test_the_only_running_batch_of_our_size_is_adopted_until_its_results_tell() -> None:
    """One create is open in the workspace, so nothing else can be it."""
    assert Adopt("b", proven=False) == step(doubt(), batch("b"), batch("c", total=8))


def test_a_batch_that_is_not_counted_yet_may_be_ours() -> None:
    """It is neither chosen while it runs nor passed over; its results are read once it has ended."""
    uncounted = batch("b", total=0)

    assert isinstance(step(doubt(), uncounted, now=SETTLED), LookAgain)
    assert isinstance(step(doubt(), uncounted, batch("c"), now=SETTLED), LookAgain)
    assert Prove(("b",)) == step(doubt(), replace(uncounted, ended=True), now=SETTLED)


def test_what_has_ended_is_proved_first() -> None:
    """Its results are there and say whose it is."""
    assert Prove(("b",)) == step(doubt(), batch("b", ended=True), batch("c"))


def test_between_two_running_batches_nobody_chooses() -> None:
    """A person's batch may have our size."""
    assert isinstance(step(doubt(), batch("b"), batch("c")), LookAgain)


def test_size_says_nothing_where_batches_carry_marks() -> None:
    """A batch without our mark is somebody else's."""
    assert isinstance(step(doubt(file_id="file-1"), batch("b")), LookAgain)


@pytest.mark.parametrize("file_id", [None, "file-1"])
def test_absence_takes_the_settle_time_and_a_second_look(file_id: str | None) -> None:
    """The input file is deleted in between, where there is one."""
    noted = doubt(file_id=file_id, absent_noted_at=SETTLED)
    soon, later = SETTLED + timedelta(seconds=119), SETTLED + PATIENCE.again

    assert isinstance(step(doubt(file_id=file_id), now=SETTLED - timedelta(seconds=1)), LookAgain)
    assert NoteAbsent(file_id) == step(doubt(file_id=file_id), now=SETTLED)
    assert isinstance(step(noted, now=soon), LookAgain)
    assert DeclareAbsent() == step(noted, now=later)


BATCHES = st.lists(
    st.builds(
        batch,
        st.sampled_from("abcdef"),
        total=st.sampled_from([0, 6, 7, 8]),
        ended=st.booleans(),
        mark=st.sampled_from([None, OURS, Mark("dep999", OURS.token), Mark("dep123", "other")]),
        file_id=st.sampled_from([None, "file-1", "file-2"]),
    ),
    max_size=6,
    unique_by=lambda one: one.provider_batch_id,
)


@given(
    BATCHES,
    st.sampled_from([None, "file-1"]),
    st.integers(0, 7200),
    st.sampled_from([None, LATEST, SETTLED]),
    st.sets(st.sampled_from("abcdef")),
)
def test_nothing_is_absent_while_it_may_be_there(
    listed: list[ListedBatch],
    file_id: str | None,
    after_s: int,
    noted: datetime | None,
    taken: set[str],
) -> None:
    """Absent only where no free batch carries our mark or file, or could be ours by its size."""
    found = search_step(
        doubt(file_id=file_id, absent_noted_at=noted),
        listed,
        taken=taken,
        now=LATEST + timedelta(seconds=after_s),
        patience=PATIENCE,
    )
    free = [one for one in listed if one.provider_batch_id not in taken]
    ours = [one for one in free if one.mark == OURS or (file_id and one.file_id == file_id)]
    alike = [one for one in free if not file_id and one.mark is None and one.total in (0, 7)]

    if ours:
        assert isinstance(found, Adopt)
        assert found.proven
    if isinstance(found, DeclareAbsent | NoteAbsent):
        assert not ours
        assert not alike
        assert after_s >= PATIENCE.settle.total_seconds()
    if isinstance(found, Adopt):
        assert found.provider_batch_id not in taken
        assert found.proven or found.provider_batch_id in [one.provider_batch_id for one in alike]
        assert set(found.surplus) <= {one.provider_batch_id for one in ours}


@given(
    apart=st.timedeltas(min_value=-timedelta(minutes=10), max_value=timedelta(minutes=10)),
    totals=st.lists(st.integers(6, 8), max_size=4),
    marked=st.booleans(),
    ended=st.booleans(),
)
def test_a_providers_clock_decides_nothing(
    apart: timedelta,
    totals: list[int],
    marked: bool,  # noqa: FBT001 - a case
    ended: bool,  # noqa: FBT001 - a case
) -> None:
    """
    Marks, sizes and our own time say what follows; every time of a listing may be ten minutes wrong.
    """

    def listed(shift: timedelta) -> list[ListedBatch]:
        mark = OURS if marked else None
        return [
            batch(f"b{number}", total=total, ended=ended, mark=mark, at=LATEST + shift)
            for number, total in enumerate(totals)
        ]

    right, wrong = (step(doubt(), *listed(shift), now=SETTLED) for shift in (timedelta(0), apart))
    assert right == wrong


@pytest.mark.parametrize("minutes", [-10, -1, 10])
def test_a_ledger_whose_clock_jumps_never_declares_too_early(minutes: int) -> None:
    """
    Back: the search waits longer. Forward: absence still takes a first look, a second, and what lies between.
    """
    jumped = SETTLED + timedelta(minutes=minutes)
    first = step(doubt(), now=jumped)
    noted = doubt(absent_noted_at=jumped)

    assert isinstance(first, LookAgain if minutes < 0 else NoteAbsent)
    assert isinstance(step(noted, now=jumped), LookAgain)
    assert isinstance(step(noted, now=jumped - timedelta(minutes=10)), LookAgain)
