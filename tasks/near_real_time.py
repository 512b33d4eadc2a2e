"""The near-real-time process: `python -m tasks.near_real_time`. SIGTERM finishes calls under way."""

import signal
import threading
from functools import partial

from app.celery import COMPLETE_QUEUE, app, drain, wake
from app.observe.log import tell
from app.policy.standing import NEAR_REAL_TIME
from app.settings import settings
from app.wiring import standing
from app.wiring.near_real_time import events, near_real_time


def main() -> None:
    """Answer until told to stop."""
    stop = threading.Event()

    def end(*_: object) -> None:
        if not stop.is_set():
            drain(settings().drain_s)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    worker = near_real_time(app, partial(wake, app, "complete", COMPLETE_QUEUE))
    beats = events(app)
    tell("near_real_time_ready")
    worker.run(stop, look=partial(standing.rounds().look, NEAR_REAL_TIME))
    if beats is not None:
        beats.stop()
    tell("near_real_time_stopped")


if __name__ == "__main__":
    main()
