"""Which tasks of callers will be called once what is under way has ended."""

import json
from typing import Final
from uuid import uuid4

from celery import Celery

from unhurried import asking
from unhurried.readers import CALLBACKS_TASK

#: Every waiting ticket is looked at: a hundred thousand of them take some seconds.
_WITHIN_S: Final = 30.0


def callbacks(app: Celery) -> dict[str, int]:
    """Names of callers' tasks, and how many waiting calls will publish each.

    Raises ServiceUnavailable where Redis or the service does not answer.
    """
    about = f"callbacks:{uuid4()}"
    found = asking.answer(app, CALLBACKS_TASK, {"reply": about}, about=about, within_s=_WITHIN_S)
    names: dict[str, int] = json.loads(found)
    return names


def unknown(app: Celery, names: dict[str, int]) -> list[str]:
    """Those that this code, whose modules are imported, does not register: Celery would throw their messages away."""
    return sorted(name for name in names if name not in app.tasks)
