"""What `tests/conftest.py` promises: a ledger and a Redis of the test's own."""

import psycopg
import pytest
import redis


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_has_a_ledger_of_its_own(database_url: str, turn: int) -> None:
    """The tables are there, and nothing that another test wrote."""
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        tables = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE tablename IN ('job', 'ticket')"
        ).fetchone()
        connection.execute("CREATE TABLE mine (turn int)")
        connection.execute("INSERT INTO mine VALUES (%s)", (turn,))

    assert tables == (2,)


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_has_an_empty_redis(redis_url: str, turn: int) -> None:
    """No key of another test is there."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("turn", turn)
