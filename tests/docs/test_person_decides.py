"""What docs/operating.md tells a person to do about a lost reply and a paused lane does what it says."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import Connection

from app.ledger import admission, packs, submissions
from app.ledger import engine as ledger
from app.policy.lifecycle import SubmissionState
from tests.docs.tree import blocks, page
from tests.support.factories import NOW, a_pack, an_admission, uuid

_ADOPT = "UPDATE submission SET state = 'accepted'"
_SEND_ANEW = "UPDATE submission SET state = 'planned'"
_RESUME = "UPDATE lane"


@dataclass(frozen=True, slots=True)
class Desk:
    """A ledger with one submission, and a person who types what the page says."""

    connection: Connection
    submission_id: UUID

    def type(self, beginning: str) -> int:
        """Run the one statement of the page that begins so; how many rows it changed."""
        (found,) = (
            block
            for block in blocks(page("docs/operating.md"), "sql")
            if " ".join(block.split()).startswith(beginning)
        )
        own = found.replace(str(uuid(0)), str(self.submission_id))
        return self.connection.exec_driver_sql(own).rowcount

    def lose_reply(self) -> None:
        """Bring the submission to `unknown`."""
        for before, after in (
            (SubmissionState.PLANNED, SubmissionState.SENDING),
            (SubmissionState.SENDING, SubmissionState.UNKNOWN),
        ):
            assert submissions.advance(
                self.connection, self.submission_id, expected=before, to=after
            )

    @property
    def next(self) -> str:
        """Who goes on with the submission now."""
        now = ledger.now(self.connection)
        handed = submissions.to_hand_over(self.connection, at=now)
        polled = submissions.to_poll(self.connection, at=now)
        return "packer" if handed else "collector" if polled else "nobody"


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """One planned submission of one job."""
    engine = ledger.connect(database_url, synchronous_commit=False)
    with engine.begin() as connection:
        admission.admit(connection, [an_admission()], at=NOW)
        now = ledger.now(connection)
        (plan,) = a_pack(packs.candidates(connection, at=now), now=now)
        submission_id = packs.make(connection, plan, at=now)
        assert submission_id is not None
        yield Desk(connection, submission_id)
    engine.dispose()


def test_an_adopted_batch_is_looked_at(desk: Desk) -> None:
    """
    A lost batch that is found is the collector's from then on.
    """
    desk.lose_reply()
    assert "nobody" == desk.next

    assert 1 == desk.type(_ADOPT)

    assert "collector" == desk.next


def test_an_absent_batch_is_sent_anew(desk: Desk) -> None:
    """
    A lost batch that does not exist is handed over again.
    """
    desk.lose_reply()

    assert 1 == desk.type(_SEND_ANEW)

    assert "packer" == desk.next


@pytest.mark.parametrize("beginning", [_ADOPT, _SEND_ANEW])
def test_only_an_unknown_submission_is_decided_upon(desk: Desk, beginning: str) -> None:
    """
    Neither statement touches a submission in another state.
    """
    assert 0 == desk.type(beginning)


def test_a_resumed_lane_is_packed_again(desk: Desk) -> None:
    """
    What waited behind a closed account goes on.
    """
    submissions.pause_lane(
        desk.connection, provider="anthropic", account="default", reason="no money", at=NOW
    )
    assert "nobody" == desk.next

    assert 1 == desk.type(_RESUME)

    assert "packer" == desk.next
