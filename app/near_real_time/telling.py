"""Tell callers how far an answer is, while it is being streamed: often enough to watch, not more."""

import time
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from app.ledger import tickets
from unhurried.progress import PROGRESS_STATE, TEXT_MAX, Progress
from unhurried.progress import tell as tell_state

_EVERY_S: Final = 0.3
#: Four bytes a token is what both providers name for English.
_BYTES_PER_TOKEN: Final = 4
#: One job's tickets that are told; more than these wait without watching.
_TICKETS_MAX: Final = 100


class Telling:
    """Writes PROGRESS for every task that waits for a job. Losing a word of it harms nothing."""

    def __init__(self, *, engine: Engine, client: Any, backend: Any, shows_text: bool) -> None:
        self._engine = engine
        self._client = client
        self._backend = backend
        self._shows_text = shows_text

    def of(self, job_id: UUID) -> Callable[[str], None]:
        """Says at once that the job runs; the callable takes the text so far."""
        task_ids = self._awaiting(job_id)
        self._tell(task_ids, "")
        told_at = time.monotonic()

        def on_text(text: str) -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= _EVERY_S:
                self._tell(task_ids, text)
                told_at = time.monotonic()

        return on_text

    def _awaiting(self, job_id: UUID) -> list[str]:
        try:
            with self._engine.connect() as connection:
                return tickets.awaiting(connection, job_id, limit=_TICKETS_MAX)
        except DBAPIError:
            # The call goes on unwatched: the job is ours, and nobody else would answer it soon.
            return []

    def _tell(self, task_ids: list[str], text: str) -> None:
        progress = Progress(
            schema=1,
            tokens=-(-len(text.encode(errors="replace")) // _BYTES_PER_TOKEN),
            text=text[-TEXT_MAX:] if self._shows_text else "",
        )
        value = progress.model_dump(mode="json", by_alias=True)
        try:
            for task_id in task_ids:
                key = self._backend.get_key_for_task(task_id)
                key = key.decode() if isinstance(key, bytes) else key
                tell_state(self._client, key, task_id=task_id, state=PROGRESS_STATE, value=value)
        except redis.RedisError:
            # The answer goes on without being watched; its end is told from the ledger.
            return
