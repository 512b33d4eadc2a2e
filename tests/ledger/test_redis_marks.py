"""What is expected of Redis: whoever stood still meanwhile changes nothing."""

from sqlalchemy import Connection, Engine

from app.ledger import engine as ledger
from app.ledger import redelivery
from app.ledger.redelivery import Mark

OLD = Mark(value="old", replication_id="a")
NEW = Mark(value="new", replication_id="a")
ELSEWHERE = Mark(value="old", replication_id=None)


def expect(connection: Connection, known: Mark, *, instead_of: Mark | None) -> bool:
    """Set a mark now."""
    now = ledger.now(connection)
    return redelivery.set_mark(connection, known, instead_of=instead_of, at=now)


def test_the_first_mark_is_set_once(engine: Engine) -> None:
    """
    Two start at once; the one that stands still before it sets its mark comes too late.
    """
    with engine.begin() as connection:
        assert redelivery.mark(connection) is None
        assert expect(connection, OLD, instead_of=None)
        assert not expect(connection, NEW, instead_of=None)
        assert OLD == redelivery.mark(connection)


def test_a_mark_takes_the_place_of_the_one_that_was_seen_and_of_no_other(engine: Engine) -> None:
    """
    Another value, or the same one from another server, is another mark.
    """
    with engine.begin() as connection:
        expect(connection, OLD, instead_of=None)
        assert not expect(connection, NEW, instead_of=ELSEWHERE)
        assert not expect(connection, NEW, instead_of=NEW)
        assert OLD == redelivery.mark(connection)
        assert expect(connection, NEW, instead_of=OLD)
        assert NEW == redelivery.mark(connection)
