"""Which tasks of callers completion will publish: what a deploy of theirs must still know by name."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kombu.exceptions import KombuError
from kombu.serialization import loads
from sqlalchemy import Engine

from app.ledger import awaited_canvas
from app.ledger.awaited_canvas import Canvas
from app.observe.log import tell
from unhurried.readers import REPLY_LIFETIME_S, reply_key

_ACCEPTED: Final = ("json", "application/json")
#: Tasks that no caller registers: ours, and Celery's own.
_NOT_CALLERS: Final = ("unhurried.", "celery.")
#: Celery's own that call others, and the arguments that name these. A caller's task may have arguments of the same
#: names, and what is in them is its own.
_CALL_OTHERS: Final = {
    "celery.map": ("task",),
    "celery.starmap": ("task",),
    "celery.chunks": ("task",),
    "celery.chain": ("tasks",),
    "celery.group": ("tasks",),
    "celery.chord": ("header", "body"),
}
_OPTIONS: Final = ("chord", "link", "link_error", "chain")
#: A canvas nested deeper than this is a mistake; Celery itself recurses on it.
_DEPTH_MAX: Final = 50


class Callbacks:
    """Answers a client's question. Reads, and changes nothing."""

    def __init__(self, *, engine: Engine, client: Any, key_prefix: str) -> None:
        self._engine = engine
        self._client = client
        self._key_prefix = key_prefix

    def run(self, reply: str) -> Counter[str]:
        """Count the tasks that waiting tickets name, and write that where the client looks."""
        names: Counter[str] = Counter()
        with self._engine.connect() as connection:
            for canvas in awaited_canvas.canvases(connection):
                names.update(set(_of_message(canvas)))
        key = self._key_prefix + reply_key(reply)
        self._client.set(key, json.dumps(names), ex=REPLY_LIFETIME_S)
        tell("callbacks_told", names_count=len(names))
        return names


def _of_message(canvas: Canvas) -> Iterator[str]:
    try:
        _, _, embed = loads(
            canvas.body, canvas.content_type, canvas.content_encoding, accept=_ACCEPTED
        )
    except (KombuError, ValueError, TypeError):
        return  # refused at admission: it calls nothing
    for name in ("callbacks", "errbacks", "chain"):
        for one in (embed or {}).get(name) or ():
            yield from _names(one, 0)
    yield from _names((embed or {}).get("chord"), 0)


def _names(signature: Any, depth: int) -> Iterator[str]:
    """The tasks that a signature runs, whatever it nests."""
    if not isinstance(signature, Mapping) or depth > _DEPTH_MAX:
        return
    task = signature.get("task")
    if isinstance(task, str) and not task.startswith(_NOT_CALLERS):
        yield task
    kwargs = signature.get("kwargs") or {}
    options = signature.get("options") or {}
    called = [kwargs.get(name) for name in _CALL_OTHERS.get(str(task), ())]
    for several in (*called, *(options.get(name) for name in _OPTIONS)):
        listed = several if isinstance(several, list | tuple) else [several]
        for one in listed:
            yield from _names(one, depth + 1)
