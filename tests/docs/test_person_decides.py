"""What docs/operating.md tells a person to do about a paused lane does what it says."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import Connection

from app.ledger import admission, lanes, packs, submissions
from app.ledger import engine as ledger
from tests.docs.tree import blocks, page
from tests.support.factories import NOW, a_pack, an_admission, uuid

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


def test_a_resumed_lane_is_packed_again(desk: Desk) -> None:
    """
    What waited behind a closed account goes on.
    """
    lanes.pause(desk.connection, provider="anthropic", account="default", reason="no money", at=NOW)
    assert "nobody" == desk.next

    assert 1 == desk.type(_RESUME)

    assert "packer" == desk.next
