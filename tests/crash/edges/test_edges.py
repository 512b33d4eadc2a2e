"""A worker's step, killed at every exchange with every server: whoever comes next makes it good, exactly once."""

import pytest

from tests.crash.edges.net import Net, kills, missed, rare, wrong
from tests.crash.edges.planning import money_edges
from tests.crash.edges.scenes import SCENES

KILLS_LEAST = 500
#: Paths that nobody takes unless a process died, or a reply was lost, at the right edge.
RARE = {
    "messages of a dead pump admitted",
    "a create whose reply was lost",
    "an orphan adopted",
    "a create declared absent",
    "a file deleted so that no create can land",
    "an orphan found by the sweep",
    "a stray booked",
    "results read again that were settled",
    "a ticket completed again",
    "a chord finished that its dead had claimed",
    "a call counted as lost",
    "a mail whose reply was lost",
}


def test_a_packer_killed_around_a_create_buys_everything_once(net: Net) -> None:
    """
    At both sides of the upload, of the create and of the commits around them, at either provider; some of these
    batches were adopted.
    """
    played = net.play(SCENES["pack"], money_edges)

    assert [] == wrong(played)
    assert 16 == len([one for one in played if one.killed_at])
    assert rare(played)["an orphan adopted"] >= 1


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", SCENES)
def test_a_step_killed_at_any_edge_is_made_good(net: Net, name: str) -> None:
    """
    Everything is delivered and billed once and nothing is lost, by the books, the caller's queue and the mails.
    """
    played = net.full(name)

    assert [] == wrong(played)


@pytest.mark.full
@pytest.mark.timeout(2400)
def test_the_net_is_as_wide_as_it_says(net: Net) -> None:
    """
    At least 500 processes were killed, hardly an edge was not reached, and every rare path was taken.
    """
    played = [one for name in SCENES for one in net.full(name)]

    assert kills(played) >= KILLS_LEAST
    assert len(missed(played)) <= len(played) // 50
    assert set() == RARE - rare(played).keys()
