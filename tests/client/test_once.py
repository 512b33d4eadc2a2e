"""An effect is made single by a mark: in the caller's own transaction where there is one."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

from tests.client.apps import calling
from tests.support.wheel import ROOT
from unhurried import ONCE_TABLE, CallError, once

RESULT = uuid4()

Connect = Callable[[], Any]


@pytest.fixture(params=["sqlite", "postgres"])
def connect(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Connect:
    """Makes connections to a database that has the table."""
    plain = database_url.replace("postgresql+psycopg://", "postgresql://")

    def make() -> Any:
        if request.param == "sqlite":
            return sqlite3.connect(tmp_path / "caller.sqlite3", timeout=30)
        return psycopg.connect(plain)

    first = make()
    first.cursor().execute(ONCE_TABLE)
    first.commit()
    first.close()
    return make


def test_a_result_may_be_acted_on_once(connect: Connect) -> None:
    """
    By each consumer; committed marks stay.
    """
    connection = connect()
    asked = [once(name, RESULT, connection=connection) for name in ("crm", "crm", "mails")]
    connection.commit()
    connection.close()
    other = connect()
    again = once("crm", str(RESULT), connection=other)
    other.close()

    assert ([True, False, True], False) == (asked, again)


def test_an_effect_that_was_rolled_back_is_tried_again(connect: Connect) -> None:
    """
    The mark goes with it.
    """
    connection = connect()
    assert once("crm", RESULT, connection=connection)
    connection.rollback()

    assert once("crm", RESULT, connection=connection)
    connection.close()


def test_of_two_deliveries_at_the_same_moment_one_acts(connect: Connect) -> None:
    """
    The second waits for the first to end, and is told no.
    """
    first, said = connect(), []
    assert once("crm", RESULT, connection=first)

    def deliver() -> None:
        second = connect()
        said.append(once("crm", RESULT, connection=second))
        second.commit()
        second.close()

    thread = threading.Thread(target=deliver)
    thread.start()
    thread.join(0.5)
    waits = thread.is_alive()
    first.commit()
    thread.join(30)
    first.close()

    assert waits
    assert [False] == said


def test_a_session_of_sqlalchemy_is_a_connection(tmp_path: Path) -> None:
    """
    The mark is in the session's transaction: set by nobody else, and rolled back with it.
    """
    engine = create_engine(f"sqlite:///{tmp_path / 'caller.sqlite3'}")
    with engine.begin() as connection:
        connection.exec_driver_sql(ONCE_TABLE)
        assert once("crm", RESULT, connection=connection)
    with Session(engine) as session:
        first = [once(name, RESULT, connection=session) for name in ("crm", "mails")]
        session.rollback()
        again = [once(name, RESULT, connection=session) for name in ("crm", "mails")]
        session.commit()
    engine.dispose()

    assert [False, True] == first == again


@pytest.fixture
def at_once(connect: Connect) -> Iterator[Any]:
    """A connection that commits each statement at once."""
    connection = connect()
    if isinstance(connection, sqlite3.Connection):
        connection.isolation_level = None
    else:
        connection.autocommit = True
    yield connection
    connection.close()


def test_a_mark_that_would_outlive_its_effect_is_refused(connect: Connect, at_once: Any) -> None:
    """
    Over a connection that commits at once; nothing is left behind, so that the effect can still be made.
    """
    with pytest.raises(CallError, match="Begin a transaction"):
        once("crm", RESULT, connection=at_once)
    other = connect()
    again = once("crm", RESULT, connection=other)
    other.close()

    assert again


def test_a_transaction_that_was_begun_by_hand_is_one(connect: Connect, at_once: Any) -> None:
    """
    Whatever the connection does outside of it.
    """
    at_once.cursor().execute("BEGIN")
    first = once("crm", RESULT, connection=at_once)
    at_once.cursor().execute("ROLLBACK")
    other = connect()
    again = once("crm", RESULT, connection=other)
    other.close()

    assert first
    assert again


@pytest.mark.parametrize("of", [Engine.connect, Session])
def test_an_engine_of_sqlalchemy_that_commits_at_once_is_refused(
    tmp_path: Path, database_url: str, of: Callable[[Engine], Any]
) -> None:
    """
    Its connections and sessions know of a transaction that the database does not.
    """
    for url in (f"sqlite:///{tmp_path / 'caller.sqlite3'}", database_url):
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(ONCE_TABLE)
        with of(engine) as asker, pytest.raises(CallError, match="Begin a transaction"):
            once("crm", RESULT, connection=asker)
        engine.dispose()


def test_a_transaction_that_sqlalchemy_begins_by_hand_is_one(tmp_path: Path) -> None:
    """
    As its users do on SQLite for the sake of savepoints: a BEGIN of their own, over a driver that has none.
    """
    engine = create_engine(f"sqlite:///{tmp_path / 'caller.sqlite3'}")

    @event.listens_for(engine, "connect")
    def leave_it_to_us(driver: Any, _record: Any) -> None:
        driver.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    said = []
    with engine.begin() as connection:
        connection.exec_driver_sql(ONCE_TABLE)
    for _ in range(2):
        with engine.connect() as connection:
            said.append(once("crm", RESULT, connection=connection))
            connection.rollback()
    engine.dispose()

    assert [True, True] == said


def test_without_a_database_the_mark_is_in_redis(redis_url: str) -> None:
    """
    Once, for whoever asks.
    """
    with calling(redis_url):
        assert [True, False, True] == [once(name, RESULT) for name in ("crm", "crm", "mails")]


@pytest.mark.parametrize(
    ("consumer", "result_id", "says"),
    [
        ("a b", RESULT, "consumer='a b'"),
        ("x'); DROP TABLE unhurried_once; --", RESULT, "consumer="),
        ("a\0b", RESULT, "consumer="),
        ("a\n", RESULT, "consumer="),
        ("", RESULT, "consumer=''"),
        ("crm", "17", "result_id='17'"),
        ("crm", "x' OR 'a'='a", "result_id="),
        ("crm", None, "None"),
    ],
)
def test_what_is_no_name_or_no_result_is_refused(consumer: str, result_id: Any, says: str) -> None:
    """
    Also one that would end the statement that it is put in.
    """
    with pytest.raises(CallError, match=says):
        once(consumer, result_id)


def test_in_django_the_mark_is_a_row_of_the_callers_transaction(tmp_path: Path) -> None:
    """
    Refused outside of one, rolled back with it, set once.
    """
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "marking_in_django.py"), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        timeout=60,
    )

    assert (0, "refused True False rolled-back True False\n") == (done.returncode, done.stdout), (
        done.stderr
    )
