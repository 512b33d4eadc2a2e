"""The exporter: `python -m tasks.exporter`. Answers scrapes and health checks until it is told to end."""

import signal
import threading

from prometheus_client import CollectorRegistry

from app.observe import endpoint, log
from app.observe.log import tell
from app.settings import settings
from app.wiring import metrics


def main() -> None:
    """Serve until told to stop. Raises OSError where the port is taken."""
    config = settings()
    log.configure(config.log_level)
    registry = CollectorRegistry()
    registry.register(metrics.collector())
    monitor = metrics.monitor()
    server = endpoint.serve(
        registry, monitor.ready, address=config.exporter_address, port=config.exporter_port
    )

    def end(*_: object) -> None:
        # `shutdown` waits for the loop that this very thread is in.
        threading.Thread(target=server.shutdown, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    monitor.start()
    tell("exporter_ready", port=server.server_port)
    with server:
        server.serve_forever()
    tell("exporter_stopped")


if __name__ == "__main__":
    main()
