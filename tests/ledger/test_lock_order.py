"""Whoever changes many tickets locks them by id: two that change the same wait, and neither for the other."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import pytest
from sqlalchemy import Connection, Engine, text

from app.ledger import chords, redelivery, tickets
from app.ledger import engine as ledger
from tests.ledger.test_sharing import waiting
from tests.support.answering import admit, answer
from tests.support.factories import an_admission
from tests.support.waiting import wait_until

Change = Callable[[Connection, list[int]], object]


def _complete(connection: Connection, ids: list[int]) -> object:
    now = ledger.now(connection)
    tickets.completed(connection, [(one, 1) for one in reversed(ids)], at=now)
    return now


def _outdate(connection: Connection, _ids: list[int]) -> object:
    now = ledger.now(connection)
    return redelivery.outdate_leased(connection, at=now - timedelta(days=1))


def _tell_again(connection: Connection, ids: list[int]) -> object:
    return redelivery.tell_again(connection, ids[::-1], at=ledger.now(connection))


def _tell_chord_again(connection: Connection, _ids: list[int]) -> object:
    return chords.tell_again(connection, "g", at=ledger.now(connection))


#: Each with the state of the tickets that it changes.
CHANGES: Final[dict[str, tuple[Change, str]]] = {
    "completed": (_complete, "ready"),
    "outdated": (_outdate, "ready"),
    "told again": (_tell_again, "completed"),
    "a chord told again": (_tell_chord_again, "completed"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_tickets_are_locked_by_id(engine: Engine, name: str) -> None:
    """
    While another has the first of them, none of the later ones is locked.
    """
    change, state = CHANGES[name]
    ids = _tickets(engine, state)
    with engine.begin() as first:
        first.execute(text("SELECT id FROM ticket WHERE id = :id FOR UPDATE"), {"id": ids[0]})
        changing = threading.Thread(target=_in_a_transaction, args=[engine, change, ids])
        changing.start()
        wait_until(lambda: waiting(engine) == 1, within_s=20, what="the change to wait")
        with engine.begin() as other:
            free = other.execute(
                text("SELECT id FROM ticket ORDER BY id FOR UPDATE SKIP LOCKED")
            ).scalars()
            assert ids[1:] == list(free)
    changing.join()


def _in_a_transaction(engine: Engine, change: Change, ids: list[int]) -> None:
    with engine.begin() as connection:
        change(connection, ids)


def _tickets(engine: Engine, state: str) -> list[int]:
    answer(engine, admit(engine, [an_admission(f"task-{n}", prompt=f"{n}") for n in range(4)]))
    with engine.begin() as connection:
        # Written in the order that is the worst: as rows lie, so they are locked by whoever does not sort.
        for task_id in ("task-3", "task-2", "task-1", "task-0"):
            connection.execute(
                text("""
                    UPDATE ticket SET state = :state, leased_until = now(), group_id = 'g', in_chord = true
                    WHERE task_id = :id
                """),
                {"state": state, "id": task_id},
            )
        return list(connection.execute(text("SELECT id FROM ticket ORDER BY id")).scalars())
