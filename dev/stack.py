"""The whole service on one machine: embedded servers, the Procfile's processes, simulator, mail sink."""

import os
import shlex
import string
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from dev.fault_proxy import FaultProxy
from dev.processes import Process, poll_until
from dev.servers import Server, create_database, free_port, start_postgres, start_redis
from unhurried import storage

ROOT: Final = Path(__file__).resolve().parent.parent
#: Ten processes import at the same time, perhaps on one busy core.
_READY_S: Final = 120.0
_LEANED_ON: Final = frozenset({"simulator", "mail_sink"})

#: What a process's log says once it serves.
_READY_WORDS: Final = {
    "intake": "intake_ready",
    "near_real_time": "near_real_time_ready",
    "beat": "beat: Starting",
    "exporter": "exporter_ready",
}
_WORKER_READY: Final = " ready."


@dataclass(kw_only=True)
class Stack:
    """Everything that `make up` starts, under one directory. A context manager."""

    directory: Path
    #: Which of the Procfile's processes; None for all of them.
    processes: Sequence[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Start the provider simulator and point the service at it.
    simulator: bool = True
    simulator_options: Sequence[str] = ()
    mail: bool = True
    #: Keep Redis and PostgreSQL through crashes; slower.
    durable: bool = False
    #: Reach the simulator and the mail catcher through proxies that can strike (`proxies`).
    faulty: bool = False

    def __post_init__(self) -> None:
        """Nothing runs before `start`."""
        self.directory = self.directory.resolve()
        #: The embedded servers by name: `postgres`, `redis`.
        self.servers: dict[str, Server] = {}
        #: By what they lead to: `simulator`, `mail_sink`.
        self.proxies: dict[str, FaultProxy] = {}
        self._processes: dict[str, Process] = {}
        self.variables: dict[str, str] = {**os.environ, **self.environment}
        self.mails = self.directory / "mails"
        #: What single processes are told beside that, by their Procfile name.
        self.own: dict[str, dict[str, str]] = {}
        #: Where the simulator is, once it runs.
        self.simulator_url = ""

    def __enter__(self) -> Self:
        """Start everything, or leave nothing running."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything."""
        self.stop()

    def start(self) -> None:
        """Start what is to run and wait until all of it serves."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._start_servers()
        if self.simulator:
            self._start_simulator()
        if self.mail:
            self._start_mail_sink()
        for one in ("FLOWER", "EXPORTER"):
            self.variables.setdefault(f"UNHURRIED_{one}_PORT", str(free_port()))
        self._migrate()
        commands = procfile()
        wanted = list(commands) if self.processes is None else list(self.processes)
        for name in wanted:
            self.launch(name, commands[name])
        for name in wanted:
            self.await_ready(name)

    def stop(self) -> None:
        """End what was started: the service at once, then what it leans on. May be repeated."""
        for name, process in self._processes.items():
            if name not in _LEANED_ON:
                process.ask_to_end()
        for process in reversed(self._processes.values()):
            process.terminate()
        self._processes.clear()
        for proxy in self.proxies.values():
            proxy.stop()
        self.proxies.clear()
        for server in reversed(self.servers.values()):
            server.stop()
        self.servers.clear()

    def process(self, name: str) -> Process:
        """A running process by its Procfile name."""
        return self._processes[name]

    def restart(self, name: str) -> None:
        """Start a process again that has ended, and wait until it serves."""
        self._processes[name].terminate()
        self.launch(name, procfile()[name])
        self.await_ready(name)

    def double(self, name: str) -> Process:
        """Start another process of the same kind beside it, as `<name>.2`, and wait until it serves."""
        # Celery's workers tell each other by their node's name.
        command = [word.replace(f"{name}@", f"{name}.2@") for word in procfile()[name]]
        process = self.launch(f"{name}.2", command)
        self.await_ready(f"{name}.2")
        return process

    def launch(
        self,
        name: str,
        command: Sequence[str],
        *,
        directory: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Start one process beside the others; stopped with them."""
        process = Process(
            name=name,
            command=_expand(command, self.variables),
            log=self.directory / "logs" / f"{name}.log",
            environment=(
                self._with_python() | self.own.get(name, {}) if environment is None else environment
            ),
            directory=directory,
        )
        process.log.unlink(missing_ok=True)
        self._processes[name] = process.start()
        return process

    def await_ready(self, name: str) -> None:
        """Wait until a process serves. Raises ProcessDiedError with the end of its log."""
        process = self._processes[name]
        serves = poll_until(lambda: not process.alive or self._serves(name), within_s=_READY_S)
        process.require_alive()
        if not serves:
            raise TimeoutError(f"{name} was not ready in {_READY_S:.0f} s:\n{process.tail()}")

    def client_path(self) -> Path:
        """A directory that holds the client package and nothing else of this checkout."""
        path = self.directory / "client"
        path.mkdir(exist_ok=True)
        link = path / "unhurried"
        if not link.exists():
            link.symlink_to(ROOT / "unhurried")
        return path

    @property
    def flower_url(self) -> str:
        """Where Flower is."""
        return f"http://127.0.0.1:{self.variables['UNHURRIED_FLOWER_PORT']}"

    @property
    def exporter_url(self) -> str:
        """Where the exporter is."""
        return f"http://127.0.0.1:{self.variables['UNHURRIED_EXPORTER_PORT']}"

    def _serves(self, name: str) -> bool:
        if name == "flower":
            return _answers(f"{self.flower_url}/healthcheck")
        log = self._processes[name].log
        words = _READY_WORDS.get(name.partition(".")[0], _WORKER_READY)
        return log.exists() and words in log.read_text("utf-8", "replace")

    def _start_servers(self) -> None:
        if "UNHURRIED_DATABASE_URL" not in self.variables:
            postgres = start_postgres(self.directory, durable=self.durable)
            self.servers["postgres"] = postgres
            self.variables["UNHURRIED_DATABASE_URL"] = create_database(
                postgres.url, "unhurried", exists_ok=True
            )
        if "UNHURRIED_REDIS_URL" not in self.variables:
            server = start_redis(self.directory, durable=self.durable)
            self.servers["redis"] = server
            self.variables["UNHURRIED_REDIS_URL"] = server.url
        self.variables.setdefault("UNHURRIED_RUN_DIRECTORY", str(self.directory / "run"))
        self.variables.setdefault("UNHURRIED_STORAGE", (self.directory / "storage").as_uri())
        storage.at(self.variables["UNHURRIED_STORAGE"]).path.mkdir(parents=True, exist_ok=True)
        Path(self.variables["UNHURRIED_RUN_DIRECTORY"]).mkdir(parents=True, exist_ok=True)

    def _start_simulator(self) -> None:
        port_file = self.directory / "simulator.port"
        port_file.unlink(missing_ok=True)
        command = ["python", "-m", "simulator", "--port", "0", "--port-file", str(port_file)]
        process = self.launch("simulator", [*command, *self.simulator_options])
        poll_until(lambda: not process.alive or port_file.exists(), within_s=_READY_S)
        process.require_alive()
        port = int(port_file.read_text("utf-8"))
        self.simulator_url = f"http://127.0.0.1:{port}"
        url = f"http://127.0.0.1:{self._reached_by('simulator', port)}"
        self.variables |= {
            "UNHURRIED_ANTHROPIC_BASE_URL": url,
            "UNHURRIED_ANTHROPIC_API_KEY": "simulated",
            "UNHURRIED_OPENAI_BASE_URL": f"{url}/v1",
            "UNHURRIED_OPENAI_API_KEY": "simulated",
        }

    def _start_mail_sink(self) -> None:
        port = free_port()
        command = ["python", "-m", "dev.mail_sink", "--port", str(port)]
        process = self.launch("mail_sink", [*command, "--directory", str(self.mails)])
        poll_until(lambda: not process.alive or "ready" in process.tail(), within_s=_READY_S)
        process.require_alive()
        reached_by = self._reached_by("mail_sink", port)
        self.variables["UNHURRIED_SMTP_URL"] = f"smtp://127.0.0.1:{reached_by}"

    def _reached_by(self, name: str, port: int) -> int:
        """The port at which the service finds what listens on `port`."""
        if not self.faulty:
            return port
        self.proxies[name] = FaultProxy(port).start()
        return self.proxies[name].port

    def _migrate(self) -> None:
        subprocess.run(
            [sys.executable, "-m", "app.ledger", "upgrade"],
            env=self._with_python(),
            cwd=ROOT,
            check=True,
        )

    def _with_python(self) -> dict[str, str]:
        """The variables, with this interpreter first on PATH and this checkout importable."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{self.variables.get('PATH', '')}"
        return {**self.variables, "PATH": path, "PYTHONUNBUFFERED": "1"}


def procfile() -> dict[str, list[str]]:
    """The Procfile's commands by name."""
    lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
    pairs = (line.partition(":") for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): shlex.split(command) for name, _, command in pairs}


def _expand(command: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """Fill `${NAME:-default}` as a shell would, and run this very Python."""
    words = [_Shell(word).safe_substitute(_Defaults(variables)) for word in command]
    return [sys.executable if word == "python" else word for word in words]


class _Shell(string.Template):
    braceidpattern = r"[A-Z_]+(?::-[^}]*)?"


class _Defaults(dict[str, str]):
    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)

    def __missing__(self, key: str) -> str:
        name, _, default = key.partition(":-")
        return self.get(name, default)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own loopback address
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
