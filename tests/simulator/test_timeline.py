"""The life of a batch as a function of the clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.batches import ENDED, Phase, Timeline, plan

ORDER = [Phase.VALIDATING, Phase.IN_PROGRESS, Phase.FINALIZING, Phase.CANCELLING]
MOMENTS = st.floats(0, 400)


@st.composite
def timelines(draw: st.DrawFn) -> tuple[Timeline, int]:
    """A life and how many requests it has; cancelled at some moment, or not."""
    total = draw(st.integers(0, 100_000))
    timeline = plan(
        seed=draw(st.text(max_size=3)),
        total=total,
        now=0.0,
        window_s=draw(st.floats(1, 400)),
        validated=draw(st.booleans()),
        invalid=draw(st.booleans()),
    )
    cancelled_at = draw(st.none() | MOMENTS)
    return timeline if cancelled_at is None else timeline.cancel(cancelled_at), total


def rank(phase: Phase) -> int:
    """How far along a phase is."""
    return len(ORDER) if phase in ENDED else ORDER.index(phase)


@given(timelines(), MOMENTS, MOMENTS)
def test_a_batch_never_goes_back(life: tuple[Timeline, int], one: float, other: float) -> None:
    """
    Later moments show no earlier phase and no fewer requests run, and what has ended stays so.
    """
    timeline, total = life
    before, after = sorted((one, other))
    first, second = timeline.phase(before), timeline.phase(after)

    assert first == second or rank(first) < rank(second)
    assert 0 <= timeline.ran(total, before) <= timeline.ran(total, after) <= total


@given(timelines())
def test_how_a_batch_ends_says_how_much_of_it_ran(life: tuple[Timeline, int]) -> None:
    """
    A completed batch ran wholly, a failed one not at all, and nobody runs after the window.
    """
    timeline, total = life
    end = timeline.phase(timeline.ends_at)
    ran = timeline.ran(total, timeline.ends_at)

    assert end in ENDED
    assert timeline.invalid or timeline.ends_at <= timeline.expires_at
    assert end is not Phase.COMPLETED or ran == total
    assert end is not Phase.FAILED or ran == 0


@given(timelines(), MOMENTS)
def test_cancelling_twice_is_cancelling_once(life: tuple[Timeline, int], at: float) -> None:
    """
    The first cancel counts, and a batch that has ended cannot be cancelled.
    """
    timeline, _ = life
    once = timeline.cancel(at)

    assert once == once.cancel(at + 1)
    assert timeline.phase(at) not in ENDED or once == timeline


@given(timelines(), MOMENTS, MOMENTS)
def test_nothing_runs_after_a_cancel(life: tuple[Timeline, int], at: float, later: float) -> None:
    """
    What had run when a batch was cancelled is all that ever ran, however late anybody looks.
    """
    timeline, total = life
    cancelled = timeline.cancel(at)

    assert cancelled.cancelled_at is None or (
        cancelled.ran(total, at + later) <= cancelled.ran(total, cancelled.cancelled_at)
    )


def test_a_slow_batch_is_as_much_longer() -> None:
    """
    At a share of the speed it ends so much later, and its window stays.
    """
    usual = plan(seed="slow", total=10, now=0.0, window_s=86_400.0, validated=True)
    slow = usual.slowed(0.01)

    assert 100 * usual.ends_at == pytest.approx(slow.ends_at)
    assert Phase.IN_PROGRESS is slow.phase(usual.ends_at)
    assert usual.expires_at == slow.expires_at
