"""Count what has been published and not admitted: should Redis lose it, somebody can say how much it was."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Engine

from app.ledger import engine as ledger
from app.ledger import redelivery
from app.ledger.redelivery import Mark

#: Between two looks: of what came and was lost within it, nobody knows.
_EVERY_S: Final = 1.0
#: Lists of reserved messages that are counted.
_LISTS_MAX: Final = 1000


class Unadmitted:
    """Keeps the last number in the ledger. Any number may look at once: each counts everything."""

    def __init__(self, *, client: Any, engine: Engine, known_as: Callable[[], Mark | None]) -> None:
        self._client = client
        self._engine = engine
        self._known_as = known_as
        self._looked_at_s = float("-inf")
        self._noted: tuple[int, Mark] | None = None

    def look(self, lists: Sequence[str], *, reserved: str) -> None:
        """Count the messages in `lists`, and in those that the index `reserved` names, if it is time."""
        if time.monotonic() - self._looked_at_s < _EVERY_S:
            return
        count = self._count([*lists, *self._client.zrange(reserved, 0, _LISTS_MAX - 1)])
        # Asked last: a number that a flush made small is never kept for the Redis that was told.
        known_as = self._known_as()
        self._looked_at_s = time.monotonic()
        if known_as is None or self._noted == (count, known_as):
            return
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            redelivery.note_unadmitted(connection, count, of=known_as, at=now)
        self._noted = (count, known_as)

    def _count(self, lists: Sequence[str | bytes]) -> int:
        with self._client.pipeline(transaction=True) as pipe:
            for one in lists:
                pipe.llen(one)
            return sum(pipe.execute())
