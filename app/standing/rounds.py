"""Record when each worker last looked: its own short statement, outside the transactions of the work."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
        # Whose beginning is noted, its end is: a worker that is stopped later must not seem to be in that look.
        begun = self._note(rounds.started, name)
        try:
            yield
        except Exception as error:
            failed = partial(rounds.failed, error=type(error).__name__)
            self._note(failed, name, kind="failed", at_once=begun)
            raise
        self._note(rounds.succeeded, name, at_once=begun)

    def _note(
        self,
        how: Callable[..., None],
        name: str,
        *,
        kind: str | None = None,
        at_once: bool = False,
    ) -> bool:
        """Whether it was due, or wanted at once; where the ledger is away it is as good as noted."""
        if not self._is_due(kind or how.__name__, name, at_once=at_once):
            return False
        # The work itself meets the same outage and says so; whoever reads sees an old round.
        with suppress(SQLAlchemyError):
            how(self._engine, name, period_s=self._periods[name], host=self._host)
        return True

    def _is_due(self, kind: str, name: str, *, at_once: bool) -> bool:
        now = self._monotonic()
        with self._lock:
            before = self._noted.get((kind, name))
            if not at_once and before is not None and now - before < _REST_S:
                return False
            self._noted[kind, name] = now
            return True
