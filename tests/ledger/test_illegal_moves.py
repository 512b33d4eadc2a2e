"""The database itself refuses what no move does, whoever asks for it."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from app.ledger import admission, packs
from app.ledger import engine as ledger
from app.policy.lifecycle import JOB_MOVES, SUBMISSION_MOVES, JobState, SubmissionState
from app.policy.tickets import TICKET_MOVES, TicketState
from tests.support.answering import admit, answer
from tests.support.factories import NOW, a_pack, an_admission

MOVES: dict[str, tuple[type[StrEnum], frozenset[Any]]] = {
    "job": (JobState, JOB_MOVES),
    "submission": (SubmissionState, SUBMISSION_MOVES),
    "ticket": (TicketState, TICKET_MOVES),
}


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A ledger with one job in flight, its ticket, pack and submission."""
    with engine.begin() as found:
        admission.admit(found, [an_admission()], at=NOW)
        now = ledger.now(found)
        (plan,) = a_pack(packs.candidates(found, at=now), now=now)
        packs.make(found, plan, at=now)
        yield found


def refused(connection: Connection, statement: str, **values: Any) -> str | None:
    """The name of the rule that a statement breaks; what it did is taken back."""
    savepoint = connection.begin_nested()
    try:
        assert connection.execute(text(statement), values).rowcount > 0
    except IntegrityError as error:
        diagnosis: Any = error.orig
        name: str = diagnosis.diag.constraint_name
        return name
    finally:
        savepoint.rollback()
    return None


def set_state(connection: Connection, table: str, state: str) -> None:
    """Put a table's rows into a state, past every rule."""
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(text(f"UPDATE {table} SET state = :state"), {"state": state})  # noqa: S608
    connection.execute(text("SET LOCAL session_replication_role = origin"))


@pytest.mark.parametrize("table", MOVES)
def test_exactly_the_moves_of_policy_are_possible(connection: Connection, table: str) -> None:
    """
    Every pair of states is tried: what policy does not know, the database refuses.
    """
    states, legal = MOVES[table]
    possible = set()
    for before, after in permutations(states, 2):
        set_state(connection, table, before)
        rule = refused(connection, f"UPDATE {table} SET state = :to", to=after)  # noqa: S608
        assert rule in (None, f"ck_{table}_move")
        if rule is None:
            possible.add((before, after))

    assert legal == possible


def test_what_was_delivered_is_not_sent_again(connection: Connection) -> None:
    """
    A mail that is done stays so; one that nobody may have got can be sent again by a person.
    """
    connection.execute(
        text("""
            INSERT INTO notification (id, tenant, kind, payload, state, created_at, next_at)
            VALUES (gen_random_uuid(), 'default', 'email', '{}', 'new', :at, :at)
        """),
        {"at": NOW},
    )
    rules = {}
    for state in ("done", "unknown", "dead"):
        set_state(connection, "notification", state)
        rules[state] = refused(connection, "UPDATE notification SET state = 'new'")

    assert {"done": "ck_notification_move", "unknown": None, "dead": None} == rules


def test_a_settled_line_is_not_opened_again(connection: Connection) -> None:
    """
    One line of a pack speaks for its job once.
    """
    connection.execute(text("UPDATE pack_item SET active = false"))

    rule = refused(connection, "UPDATE pack_item SET active = true")

    assert "ck_pack_item_reopened" == rule


def test_attempt_numbers_only_grow(connection: Connection) -> None:
    """
    They guard every move.
    """
    assert "ck_job_attempt" == refused(connection, "UPDATE job SET attempt = attempt - 1")


def test_a_result_keeps_its_name_and_a_charge_its_amount(engine: Engine) -> None:
    """
    Consumers know results by their ids, and money that is booked is never rewritten.
    """
    answer(engine, admit(engine, [an_admission()]))
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO charge (source, line, provider, account, model, batch, usage, booked_at)
                VALUES ('batch:1', 'line', 'anthropic', 'default', 'm', true, '{}', :at)
            """),
            {"at": NOW},
        )
        renamed = refused(connection, "UPDATE job SET result_id = gen_random_uuid()")
        corrected = refused(connection, "UPDATE charge SET nano_usd = 0")

    assert ("ck_job_result", "ck_charge_corrected") == (renamed, corrected)
