"""Count runs, tell their callers, and end those whose parts have all ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from app.ledger import engine as ledger
from app.ledger import runs
from app.observe.log import tell
from app.policy import runs as policy
from app.policy.runs import Look
from unhurried.contract import REDIS_LIFETIME_S
from unhurried.run_wire import run_key


class RunCounter:
    """Safe to repeat, to kill anywhere and to run twice at once: the end of a run is a guarded move."""

    def __init__(self, *, engine: Engine, client: Any, key_prefix: str) -> None:
        self._engine = engine
        self._client = client
        self._key_prefix = key_prefix

    def run(self) -> int:
        """Count the runs that are due for it; how many ended, whose own tickets are now ready."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            looks = runs.look(connection, at=now)
            ended = [look for look in looks if policy.has_ended(look)]
            runs.end(connection, ended, at=now)
            for look in looks:
                # Given back by a provider since the run was cancelled, or shared then and no longer.
                if look.cancel_requested and look.waiting:
                    runs.cancel(connection, look.id, at=now)
        self.tell(looks, at=now)
        for look in ended:
            tell("run_ended", run_id=str(look.id), parts_count=look.done, failed_count=look.failed)
        return len(ended)

    def tell(self, looks: Sequence[Look], *, at: datetime) -> None:
        """Write where the callers of these runs look. Losing it is mended by the next count."""
        with self._client.pipeline(transaction=False) as pipe:
            for look in looks:
                key = self._key_prefix + run_key(str(look.id))
                pipe.hset(key, "counts", policy.counts(look, now=at).model_dump_json())
                pipe.expire(key, REDIS_LIFETIME_S)
            pipe.execute()
