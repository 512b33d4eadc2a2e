"""What each worker of the service does when it is woken, by the worker's name. Reads the settings when imported."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from app.celery import COMPLETE_QUEUE, app, wake
from app.wiring import intake
from app.wiring.near_real_time import near_real_time
from tasks import wake_ups

_WAKE_COMPLETION: Final = partial(wake, app, "complete", COMPLETE_QUEUE)


def _intake() -> None:
    """A round of `app.intake.loop`, the first of its process."""
    pump = intake.pump(app, _WAKE_COMPLETION)
    pump.present()
    pump.recover()
    pump.run_once()


def _near_real_time() -> None:
    """What one thread of the worker does, and what the process does beside its threads."""
    worker = near_real_time(app, _WAKE_COMPLETION)
    worker.answer_one()
    worker.give_up_lost()


STEPS: Final[Mapping[str, Callable[[], None]]] = {
    "intake": _intake,
    "pack": wake_ups.pack,
    "collect": wake_ups.collect,
    "complete": wake_ups.complete,
    "notify": wake_ups.notify,
    "near_real_time": _near_real_time,
    "upkeep": wake_ups.upkeep,
}


def run(names: Sequence[str], until: Path | None) -> None:
    """Take these steps once; or again and again until a file is there, and then once more."""
    while until is not None and not until.exists():
        _once(names)
    _once(names)


def _once(names: Sequence[str]) -> None:
    for name in names:
        STEPS[name]()
