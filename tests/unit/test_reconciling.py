"""Which line speaks for which job, and whose a batch is that nothing but its results can tell."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy.names import custom_id
from app.policy.outcomes import Lapsed
from app.policy.reconciling import Owner, Seen, Survey, owner, survey
from tests.support.factories import an_answer, uuid

TOKEN = "0000000000001"
JOBS = [uuid(number) for number in range(4)]


def line(job: UUID, *, token: str = TOKEN, answered: bool = True) -> Seen:
    """A line that says it is this job's."""
    said = custom_id(deployment="abcdef", token=token, job_id=job)
    return Seen(said, an_answer() if answered else Lapsed())


UNREADABLE = Seen(None, None)
STRANGER = Seen("by-hand-1", an_answer())


def read(*lines: Seen) -> Survey:
    """The survey of a file with these lines."""
    return survey(lines, token=TOKEN, jobs=JOBS)


def test_an_answered_line_speaks_before_one_that_is_not() -> None:
    """The first answered line of a job is its own, wherever it stands."""
    found = read(line(JOBS[0], answered=False), line(JOBS[0]), line(JOBS[0]), line(JOBS[1]))

    assert {JOBS[0]: 1, JOBS[1]: 3} == found.chosen
    assert {JOBS[0], JOBS[1]} == found.answered
    assert 2 == found.repeats


def test_a_line_of_another_submission_speaks_for_nobody() -> None:
    """Nor does one of a job that is not in the pack, or one that cannot be read."""
    found = read(line(JOBS[0], token="000000000000z"), line(uuid(99)), STRANGER, UNREADABLE)

    assert {} == found.chosen
    assert {0, 1, 2, 3} == found.strangers
    assert 1 == found.unreadable


@pytest.mark.parametrize(
    ("lines", "last_look", "whose"),
    [
        ([line(JOBS[0]), STRANGER], False, Owner.OURS),
        ([STRANGER] * 3, False, Owner.STRANGER),
        ([STRANGER] * 2, False, Owner.UNCLEAR),
        ([STRANGER] * 2, True, Owner.STRANGER),
        ([STRANGER] * 3 + [UNREADABLE], False, Owner.UNCLEAR),
        ([UNREADABLE], False, Owner.UNCLEAR),
        ([UNREADABLE], True, Owner.UNCLEAR),
        ([], False, Owner.UNCLEAR),
        ([], True, Owner.STRANGER),
    ],
)
def test_only_ids_of_others_prove_a_stranger(
    lines: list[Seen], *, last_look: bool, whose: Owner
) -> None:
    """All that the batch holds, or what there is when it is read for the last time."""
    assert whose is owner(read(*lines), requests=3, last_look=last_look)


@given(
    lines=st.lists(st.sampled_from([line(job) for job in JOBS] + [STRANGER]), min_size=3),
    kept=st.integers(0, 3),
    last_look=st.booleans(),
)
def test_a_file_of_ours_that_breaks_off_is_never_a_strangers(
    lines: list[Seen], kept: int, *, last_look: bool
) -> None:
    """Cut in its first line, before any id of ours, it says nothing."""
    cut = [*lines[:kept], UNREADABLE]
    if any(one in cut for one in map(line, JOBS)):
        assert Owner.OURS is owner(read(*cut), requests=len(lines), last_look=last_look)
    elif kept == 0:
        assert Owner.UNCLEAR is owner(read(*cut), requests=len(lines), last_look=last_look)
