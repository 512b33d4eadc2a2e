"""A Flower over a ledger of its own, and nothing else of the service: what it shows comes from the ledger alone."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.servers import free_port
from dev.stack import Stack, procfile
from tests.flower.scene import Scene
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Stage:
    """A running Flower and the ledger under it."""

    stack: Stack
    scene: Scene

    @property
    def url(self) -> str:
        """Where Flower is."""
        return self.stack.flower_url

    def another(
        self, name: str, *options: str, metrics: bool = False, path: Path | None = None
    ) -> str:
        """One more Flower over the same ledger, started with other options; its address.

        `path` is where it finds modules before it looks anywhere else.
        """
        port = free_port()
        base = [word for word in procfile()["flower"] if not word.startswith("--port=")]
        # Pages read by themselves where nothing else does.
        own = {"UNHURRIED_FLOWER_METRICS": str(metrics).lower()}
        self.stack.own[name] = own | ({"PYTHONPATH": str(path)} if path is not None else {})
        self.stack.launch(name, [*base, f"--port={port}", *options])
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: listens(port), within_s=120, what=f"{name} to listen")
        return url


@contextmanager
def staged(directory: Path, settings: Mapping[str, str], *options: str) -> Iterator[Stage]:
    """PostgreSQL, Redis and Flower, started with these settings and Flower's own options."""
    with Stack(
        directory=directory, processes=[], environment=settings, simulator=False, mail=False
    ) as stack:
        stack.launch("flower", [*procfile()["flower"], *options])
        stack.await_ready("flower")
        scene = Scene(stack.variables["UNHURRIED_DATABASE_URL"])
        try:
            yield Stage(stack, scene)
        finally:
            scene.close()


def listens(port: int) -> bool:
    """Whether something takes connections there."""
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0
