"""Record when each worker last looked: its own short statement, outside the transactions of the work."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.ledger import rounds
from app.policy.standing import BEAT

#: Of one kind and name at most one note in so many seconds: beginnings and ends make one a second.
_REST_S: Final = 2.0


class Rounds:
    """One process's own. Safe to share between threads."""

    def __init__(
        self,
        engine: Engine,
        periods: Mapping[str, float],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._periods = dict(periods)
        self._monotonic = monotonic
        self._host = socket.gethostname()
        self._noted: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def look(self, name: str, *, asked_by_beat: bool = False) -> Iterator[None]:
        """Stand around one look of a worker, which it never breaks. What the look raises goes up."""
        if asked_by_beat:
            self._note(rounds.succeeded, BEAT)
        self._note(rounds.started, name)
        try:
            yield
        except Exception as error:
            self._note(partial(rounds.failed, error=type(error).__name__), name, kind="failed")
            raise
        self._note(rounds.succeeded, name)

    def _note(self, how: Callable[..., None], name: str, *, kind: str | None = None) -> None:
        if not self._is_due(kind or how.__name__, name):
            return
        try:
            how(self._engine, name, period_s=self._periods[name], host=self._host)
        except SQLAlchemyError:
            # The work itself meets the same outage and says so; whoever reads sees an old round.
            return

    def _is_due(self, kind: str, name: str) -> bool:
        now = self._monotonic()
        with self._lock:
            before = self._noted.get((kind, name))
            if before is not None and now - before < _REST_S:
                return False
            self._noted[kind, name] = now
            return True
