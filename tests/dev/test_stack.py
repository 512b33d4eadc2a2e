"""The whole service on one machine, as the demo and the crash tests start it."""

from pathlib import Path

import psutil
import pytest
import redis

from dev.processes import ProcessDiedError
from dev.stack import Stack, procfile

_NAMES = [
    "intake",
    "sync",
    "near_real_time",
    "packer",
    "collector",
    "completer",
    "notifier",
    "beat",
    "flower",
    "exporter",
]


def _family(directory: Path) -> list[int]:
    """Every process whose command line names the directory."""
    return [
        each.pid
        for each in psutil.process_iter(["cmdline"])
        if any(str(directory) in word for word in each.info["cmdline"] or [])
    ]


def test_the_procfile_names_every_process_of_the_service() -> None:
    """Each runs under Python's own name, so that no console script has to be on PATH."""
    commands = procfile()

    assert _NAMES == list(commands)
    assert {"python"} == {command[0] for command in commands.values()}


@pytest.mark.full
def test_the_whole_service_starts_serves_and_leaves_nothing(tmp_path: Path) -> None:
    """Every process of the Procfile says that it serves; after `stop` none of them is left."""
    with Stack(directory=tmp_path) as stack:
        pids = [stack.process(name).pid for name in (*_NAMES, "simulator", "mail_sink")]
        assert all(map(psutil.pid_exists, pids))
        with redis.Redis.from_url(stack.variables["UNHURRIED_REDIS_URL"]) as client:
            assert client.ping()

    assert [] == [pid for pid in pids if psutil.pid_exists(pid)]
    assert [] == _family(tmp_path)


def test_a_killed_process_is_restarted_among_the_others(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """`restart` starts one process again, on servers of the caller's own, and the others stay."""
    servers = {"UNHURRIED_DATABASE_URL": database_url, "UNHURRIED_REDIS_URL": redis_url}
    with Stack(
        directory=tmp_path, processes=["intake"], environment=servers, simulator=False, mail=False
    ) as stack:
        first = stack.process("intake")
        first.kill()
        stack.restart("intake")

        assert stack.process("intake").alive
        assert not first.alive
        assert not (tmp_path / "postgres").exists()
        assert redis_url == stack.variables["UNHURRIED_REDIS_URL"]


def test_a_process_that_dies_at_its_start_is_quoted(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """Nobody waits for a dead process: the error names it and ends with its last words."""
    servers = {"UNHURRIED_DATABASE_URL": database_url, "UNHURRIED_REDIS_URL": redis_url}
    with Stack(
        directory=tmp_path, processes=["intake"], environment=servers, simulator=False, mail=False
    ) as stack:
        stack.variables["UNHURRIED_ATTEMPTS_MAX"] = "none"

        with pytest.raises(ProcessDiedError, match=r"(?s)intake ended with 1; .*attempts_max"):
            stack.restart("intake")
