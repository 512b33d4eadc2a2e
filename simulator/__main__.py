"""`python -m simulator`: both providers on one loopback port, until SIGTERM."""

import argparse
import json
import signal
import socket
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from simulator.clock import Clock
from simulator.connections import Protocol
from simulator.server import build
from simulator.store import Store

_BACKLOG: Final = 128
#: How long requests that are being answered may hold up the end.
_GRACE_S: Final = 1


class _Server(uvicorn.Server):
    """Tells a large batch that is being settled that the process is to end."""

    def __init__(self, config: uvicorn.Config, store: Store) -> None:
        super().__init__(config)
        self._store = store

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On the first signal."""
        self._store.closing.set()
        super().handle_exit(sig, frame)


def main() -> None:
    """Serve."""
    arguments = _arguments()
    # uvicorn raises the signal again once it has stopped; exiting in order removes the directory.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="simulator-") as directory:
        store = Store(
            directory=Path(directory),
            clock=Clock(arguments.speed),
            seed=arguments.seed,
            window_s=arguments.window_s,
            lenient=arguments.seed_literals,
        )
        app = build(
            store,
            requests_per_minute=arguments.requests_per_minute,
            enqueued_tokens_max=arguments.enqueued_tokens,
        )
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((arguments.host, arguments.port))
            listener.listen(_BACKLOG)
            _announce(arguments, listener.getsockname()[1])
            config = uvicorn.Config(
                app,
                http=Protocol,
                log_level="warning",
                timeout_graceful_shutdown=_GRACE_S,
                lifespan="off",
            )
            _Server(config, store).run(sockets=[listener])


def _announce(arguments: argparse.Namespace, port: int) -> None:
    """Say where it is; the socket accepts connections already."""
    url = f"http://{arguments.host}:{port}"
    if arguments.json:
        print(json.dumps({"url": url, "port": port, "speed": arguments.speed}), flush=True)
    else:
        print(
            f"simulator on {url} (OpenAI: {url}/v1), {arguments.speed:g} times real time",
            flush=True,
        )
    if arguments.port_file is not None:
        part = arguments.port_file.with_suffix(".part")
        part.write_text(str(port), "utf-8")
        part.rename(arguments.port_file)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    option = parser.add_argument
    option("--host", default="127.0.0.1", help="address to listen on")
    option("--port", type=int, default=0, help="0 takes a free one")
    option("--port-file", type=Path, help="write the port here once it accepts")
    option("--speed", type=_positive, default=60.0, help="simulated seconds per second")
    option("--seed", type=int, help="repeatable ids and orders; ids of its own without")
    option("--seed-literals", action="store_true", help="have the ids that SDK suites ask for")
    option(
        "--window-s",
        type=_positive,
        default=86_400.0,
        help="simulated seconds until a batch expires",
    )
    option("--requests-per-minute", type=int, help="429 beyond this, per provider, in real time")
    option("--enqueued-tokens", type=int, help="OpenAI batches beyond this, per model, fail")
    option("--json", action="store_true", help="announce as JSON")
    return parser.parse_args()


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("a number above 0 was expected")
    return number


if __name__ == "__main__":
    main()
