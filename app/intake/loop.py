"""Pump until told to stop. An outage of Redis or of the ledger is waited out; nothing is lost."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import redis
from sqlalchemy.exc import DBAPIError

from app.intake.pump import Pump
from app.observe.log import tell

#: How long an empty queue is left alone; also how late a message may be seen.
_IDLE_S: Final = 0.05
_OUTAGE_FIRST_S: Final = 0.5
_OUTAGE_MAX_S: Final = 15.0
#: How often the lists of dead pumps are looked for, and callers told that this Redis is served.
_ROUNDS_BETWEEN_RECOVERIES: Final = 100


def run(
    pump: Pump,
    stop: threading.Event,
    *,
    look: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Take messages in until `stop` is set; `look` stands around each round."""
    outage_s = _OUTAGE_FIRST_S
    rounds = 0
    while not stop.is_set():
        try:
            with look():
                taken = _round(pump, rounds)
        except (redis.RedisError, DBAPIError, OSError) as outage:
            tell("intake_waits", warning=True, reason=type(outage).__name__, wait_s=outage_s)
            stop.wait(outage_s)
            outage_s = min(outage_s * 2, _OUTAGE_MAX_S)
            continue
        outage_s = _OUTAGE_FIRST_S
        rounds += 1
        if not taken:
            stop.wait(_IDLE_S)


def _round(pump: Pump, number: int) -> int:
    if number % _ROUNDS_BETWEEN_RECOVERIES == 0:
        pump.present()
        pump.recover()
    return pump.run_once()
