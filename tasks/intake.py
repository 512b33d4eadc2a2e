"""The intake process: `python -m tasks.intake`. Ends cleanly on SIGTERM, loses nothing on SIGKILL."""

import signal
import threading
from functools import partial

from app.celery import COMPLETE_QUEUE, app, drain, wake
from app.intake import loop
from app.observe.log import tell
from app.policy.standing import INTAKE
from app.settings import settings
from app.wiring import intake, standing


def main() -> None:
    """Pump until told to stop."""
    stop = threading.Event()

    def end(*_: object) -> None:
        if not stop.is_set():
            drain(settings().drain_s)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    pump = intake.pump(app, partial(wake, app, "complete", COMPLETE_QUEUE))
    tell("intake_ready")
    loop.run(pump, stop, look=partial(standing.rounds().look, INTAKE))
    tell("intake_stopped")


if __name__ == "__main__":
    main()
