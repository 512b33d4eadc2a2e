"""Embedded servers: there without an install, gone with their owner."""

import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from dev import servers
from dev.processes import ProcessDiedError
from dev.servers import Server, create_database, start_postgres, start_redis
from tests.support.waiting import wait_until


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


@pytest.mark.parametrize("durable", [False, True])
def test_postgres_keeps_its_data_through_a_restart(tmp_path: Path, *, durable: bool) -> None:
    """What was committed before `stop` is there after the next start over the same directory."""
    with start_postgres(tmp_path, durable=durable) as server:
        database = create_database(server.url, "kept").rpartition("/")[2]
        pid = server.process.pid

    assert not psutil.pid_exists(pid)
    with start_postgres(tmp_path, durable=durable) as server:
        again = create_database(server.url, "kept", exists_ok=True)
        with psycopg.connect(_plain(again)) as connection:
            assert (database,) == connection.execute("SELECT current_database()").fetchone()


def test_postgres_does_not_run_as_root(tmp_path: Path) -> None:
    """PostgreSQL refuses root, so its process is another user's wherever the owner is root."""
    with start_postgres(tmp_path) as server:
        uid = psutil.Process(server.process.pid).uids().effective

    assert uid != 0


def test_postgres_runs_from_a_checkout_that_is_its_owners_alone(tmp_path: Path) -> None:
    """Its programs look each other up by access(2), through directories that only root may pass."""
    program = tmp_path / "private" / "program"
    program.parent.mkdir(mode=0o700)
    program.touch(mode=0o755)
    asks = "import os, sys; sys.exit(not os.access(sys.argv[1], os.X_OK))"

    become = servers.unprivileged(tmp_path / "data")

    subprocess.run([*become, sys.executable, "-c", asks, str(program)], check=True, cwd="/")


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    """initdb's own words say why PostgreSQL could not be set up; what was there stays."""
    other = tmp_path / "postgres" / "other"
    other.parent.mkdir(mode=0o700)
    other.touch()

    with pytest.raises(ProcessDiedError, match=r"initdb ended with 1:\n.*not empty"):
        start_postgres(tmp_path)
    assert other.exists()


def test_a_database_is_made_once(postgres_url: str) -> None:
    """A name that is taken is an error, unless the caller says that it may be."""
    create_database(postgres_url, "made_once")

    with pytest.raises(psycopg.errors.DuplicateDatabase):
        create_database(postgres_url, "made_once")
    assert create_database(postgres_url, "made_once", exists_ok=True).endswith("/made_once")


def test_redis_is_new_enough_and_throws_nothing_away(redis_client: redis.Redis) -> None:
    """The service needs Redis 7; chord counters must not be evicted to make room."""
    assert int(redis_client.info("server")["redis_version"].split(".")[0]) >= 7
    assert redis_client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert redis_client.config_get("bind") == {"bind": "127.0.0.1"}


@pytest.mark.parametrize(("durable", "kept"), [(True, b"yes"), (False, None)])
def test_a_durable_redis_keeps_its_keys(
    tmp_path: Path, *, durable: bool, kept: bytes | None
) -> None:
    """An append-only file outlives the server; without one nothing does."""
    with start_redis(tmp_path, durable=durable) as server:
        pid = server.process.pid
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "yes")

    assert not psutil.pid_exists(pid)
    with (
        start_redis(tmp_path, durable=durable) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        assert kept == client.get("kept")


@pytest.mark.parametrize("start", ["start_postgres", "start_redis"])
def test_a_server_dies_with_an_owner_that_was_killed(tmp_path: Path, start: str) -> None:
    """SIGKILL of the owner, which no handler sees, leaves no server behind."""
    code = (
        "import pathlib, sys; from dev.servers import *\n"
        f"print({start}(pathlib.Path(sys.argv[1])).process.pid, flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        server = psutil.Process(int(owner.stdout.readline()))
        owner.kill()

    wait_until(
        lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE,
        within_s=10,
        what=f"the end of {start}'s server",
    )


def test_stopping_twice_is_stopping_once(tmp_path: Path) -> None:
    """`stop` may be repeated: the second time there is nothing to end."""
    server: Server = start_redis(tmp_path)
    server.stop()

    server.stop()

    assert not server.process.alive


def test_redis_comes_back_from_a_crash_with_everything(tmp_path: Path) -> None:
    """At the same address, with what it had acknowledged, where it is durable."""
    with start_redis(tmp_path, durable=True) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        server.crash()
        assert not server.process.alive
        server.start_again()

        assert b"yes" == client.get("kept")


def test_postgres_comes_back_from_a_crash_with_everything(tmp_path: Path) -> None:
    """At the same address, with what was committed; what was not is gone, and so are its children."""
    with start_postgres(tmp_path, durable=True) as server:
        connection = psycopg.connect(_plain(server.url))
        connection.execute("CREATE TABLE kept ()")
        connection.commit()
        connection.execute("CREATE TABLE lost ()")
        server.crash()
        connection.close()
        server.start_again()

        with psycopg.connect(_plain(server.url)) as connection:
            found = connection.execute("SELECT relname FROM pg_class WHERE relname ~ 'kept|lost'")
            assert [("kept",)] == found.fetchall()
