"""What a queue's depths say: how fast jobs come and go, and a picture that is never wrong about a gap."""

import re
import xml.etree.ElementTree as ET
from datetime import timedelta
from itertools import accumulate
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from app.flower.sparkline import sparkline
from app.policy.depths import RATE_OVER, Depth, Rates, rates
from tests.support.factories import NOW

SPAN = timedelta(hours=6)
MINUTE = timedelta(minutes=1)


def depth(minutes_ago: float, *, waiting: int = 0, queued: int = 0, opened: int = 0) -> Depth:
    """What stood so many minutes ago."""
    return Depth(
        tier="batch",
        at=NOW - minutes_ago * MINUTE,
        waiting_count=waiting,
        queued_count=queued,
        opened_count=opened,
    )


def drawn(*depths: Depth) -> ET.Element:
    return ET.fromstring(sparkline(depths, now=NOW, span=SPAN))  # noqa: S314 - our own


def lines(picture: ET.Element) -> list[list[tuple[float, float]]]:
    """The points of each line."""
    found = []
    for one in picture.iter("polyline"):
        pairs = (point.split(",") for point in one.attrib["points"].split())
        found.append([(float(x), float(y)) for x, y in pairs])
    return found


def test_rates_are_a_minutes_share_of_what_came_and_left() -> None:
    """
    Between the first and the last record of the last quarter of an hour.
    """
    known = [
        depth(10, queued=100, opened=50),
        depth(5, queued=400),
        depth(0, queued=200, opened=70),
    ]

    assert Rates(come=10, leave=2) == rates(known, now=NOW)


def test_what_is_older_says_nothing_of_now() -> None:
    """
    A quarter of an hour ago is the last that counts.
    """
    edge = RATE_OVER / MINUTE
    known = [depth(edge + 1, queued=0), depth(edge, queued=1000), depth(0, queued=1000)]

    assert Rates(come=0, leave=0) == rates(known, now=NOW)


def test_too_little_is_no_rate() -> None:
    """
    Nothing, one record, two of the same moment, or old ones alone: unknown is not zero.
    """
    for known in ([], [depth(1)], [depth(1), depth(1)], [depth(40), depth(30)]):
        assert rates(known, now=NOW) is None


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=2, max_size=16
    ),
    order=st.randoms(use_true_random=False),
)
def test_rates_do_not_depend_on_the_order(steps: list[tuple[int, int]], order: Random) -> None:
    """
    And are never negative, also where a counter was set back by hand.
    """
    queued = list(accumulate(come for come, _ in steps))
    known = [
        depth(len(steps) - place, queued=queued[place], opened=opened)
        for place, (_, opened) in enumerate(steps)
    ]
    found = rates(known, now=NOW)
    shuffled = list(known)
    order.shuffle(shuffled)

    assert found == rates(shuffled, now=NOW)
    if found is not None:
        assert min(found.come, found.leave) >= 0


def test_a_picture_ends_now_and_is_as_high_as_its_highest() -> None:
    """
    The left edge is the span ago; the deepest moment touches the top, an empty queue the ground.
    """
    (line,) = lines(drawn(depth(4, waiting=0), depth(2, waiting=500), depth(0, waiting=250)))

    assert [35.0, 2.0, 18.5] == [y for _, y in line]
    assert 220 == line[-1][0]
    assert 217.6 == line[0][0]


def test_nothing_is_drawn_across_a_gap() -> None:
    """
    Upkeep did not run: nobody knows how deep it was.
    """
    before = [depth(30, waiting=5), depth(29, waiting=6)]
    after = [depth(2, waiting=1), depth(1, waiting=2)]

    assert [2, 2] == [len(line) for line in lines(drawn(*before, *after))]
    assert [3] == [len(line) for line in lines(drawn(depth(7), depth(2), depth(1)))]


def test_one_record_alone_is_no_line() -> None:
    """
    Nor is none: the ground line stands there by itself.
    """
    for depths in ((), (depth(3, waiting=9),)):
        picture = drawn(*depths)
        assert [] == lines(picture)
        assert 1 == len(list(picture.iter("line")))


@given(st.lists(st.tuples(st.floats(0, 360), st.integers(0, 2**63)), max_size=30))
def test_a_picture_stays_within_its_frame(moments: list[tuple[float, int]]) -> None:
    """
    Whatever was recorded; and it says its height in words, for who does not see it.
    """
    depths = [depth(ago, waiting=count) for ago, count in sorted(moments, reverse=True)]
    picture = drawn(*depths)
    top = max((count for _, count in moments), default=0)

    for line in lines(picture):
        assert all(0 <= x <= 220 and 0 <= y <= 36 for x, y in line)
    assert re.search(rf"at most {top:,}$", picture.attrib["aria-label"])
