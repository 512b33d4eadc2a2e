"""A mail server that keeps every message as a file: what the demo and the tests count."""

import argparse
import signal
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiosmtpd.controller import Controller


class _Keep:
    """aiosmtpd's handler: one `.eml` file a message, complete once it has its name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        name = uuid4().hex
        part = self._directory / f"{name}.part"
        part.write_bytes(envelope.original_content)
        part.rename(self._directory / f"{name}.eml")
        return "250 kept"


def start(directory: Path, *, port: int) -> Controller:
    """Listen on loopback; `.stop()` ends it."""
    directory.mkdir(parents=True, exist_ok=True)
    controller = Controller(_Keep(directory), hostname="127.0.0.1", port=port)
    controller.start()
    return controller


def main() -> None:
    """`python -m dev.mail_sink --port 1025 --directory DIR`."""
    parser = argparse.ArgumentParser(prog="python -m dev.mail_sink", description=__doc__)
    parser.add_argument("--port", type=int, default=1025)
    parser.add_argument("--directory", type=Path, required=True)
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    controller = start(arguments.directory, port=arguments.port)
    print(f"mail_sink ready on 127.0.0.1:{arguments.port}", flush=True)
    stop.wait()
    controller.stop()


if __name__ == "__main__":
    main()
