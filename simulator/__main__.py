"""`python -m simulator`: both providers on one loopback port, until SIGTERM."""

import argparse
import json
import socket
import tempfile
from pathlib import Path

import uvicorn

from simulator.books import Books
from simulator.clock import Clock
from simulator.server import build
from simulator.store import Store


def main() -> None:
    """Serve."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="simulator-") as directory:
        store = Store(
            directory=Path(directory),
            clock=Clock(arguments.speed),
            books=Books(),
            seed=arguments.seed,
            window_s=arguments.window_s,
        )
        app = build(
            store,
            requests_per_minute=arguments.requests_per_minute,
            enqueued_tokens_max=arguments.enqueued_tokens,
        )
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((arguments.host, arguments.port))
            listener.listen(128)
            _announce(arguments, listener.getsockname()[1])
            config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
            uvicorn.Server(config).run(sockets=[listener])


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
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="write the port here once it accepts")
    parser.add_argument("--speed", type=float, default=60.0, help="simulated seconds per second")
    parser.add_argument("--seed", type=int, default=0, help="makes ids and orders repeatable")
    parser.add_argument(
        "--window-s", type=float, default=86_400.0, help="simulated seconds until a batch expires"
    )
    parser.add_argument("--requests-per-minute", type=int, help="429 beyond this, per provider")
    parser.add_argument("--enqueued-tokens", type=int, help="OpenAI batches beyond this fail")
    parser.add_argument("--json", action="store_true", help="announce as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
