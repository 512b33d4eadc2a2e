"""Which tasks of callers will be called once what is under way has ended."""

import json
import time
from typing import Final
from uuid import uuid4

from celery import Celery

from unhurried import asking
from unhurried.binding import key_prefix, redis_answers, redis_of
from unhurried.errors import ServiceUnavailable
from unhurried.readers import CALLBACKS_TASK, reply_key

#: Every waiting ticket is looked at: a hundred thousand of them take some seconds.
_WITHIN_S: Final = 30.0
_LOOK_S: Final = 0.05


def callbacks(app: Celery) -> dict[str, int]:
    """Names of callers' tasks, and how many waiting calls will publish each.

    Raises ServiceUnavailable where Redis or the service does not answer.
    """
    reply = f"callbacks:{uuid4()}"
    asking.command(app, CALLBACKS_TASK, {"reply": reply})
    key, until = key_prefix(app) + reply_key(reply), time.monotonic() + _WITHIN_S
    while time.monotonic() < until:
        with redis_answers("ask again"):
            found: bytes | None = redis_of(app).get(key)
        if found is not None:
            names: dict[str, int] = json.loads(found)
            return names
        time.sleep(_LOOK_S)
    raise ServiceUnavailable(
        f"the service did not answer within {_WITHIN_S:g} s: is it running, and not older than this client?"
    )


def unknown(app: Celery, names: dict[str, int]) -> list[str]:
    """Those that this code does not register: Celery would throw their messages away."""
    app.loader.import_default_modules()
    app.finalize()
    return sorted(name for name in names if name not in app.tasks)
