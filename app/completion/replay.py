"""Write pages of a workload's settled results where a client that asks for them looks."""

from typing import Any, Final

from sqlalchemy import Engine

from app.completion.complete import store_long_output
from app.ledger import replay
from app.policy import ends
from app.policy.ends import Failure
from unhurried.contract import OnFailure
from unhurried.readers import (
    REPLAY_RESULTS_MAX,
    REPLY_LIFETIME_S,
    ReplayPage,
    ReplayQuery,
    reply_key,
)

#: A page ends beyond this; a single result may be larger.
_PAGE_BYTES: Final = 4 * 1024 * 1024


class Replay:
    """Answers one page at a time. Safe to repeat: the order of what has been numbered never changes."""

    def __init__(self, *, engine: Engine, client: Any, key_prefix: str) -> None:
        self._engine = engine
        self._client = client
        self._key_prefix = key_prefix

    def page(self, query: ReplayQuery) -> ReplayPage:
        """Number what has settled, and write the page that was asked for."""
        numbered = replay.NUMBERED_MAX
        while numbered == replay.NUMBERED_MAX:
            with self._engine.begin() as connection:
                numbered = replay.number(connection, tenant=query.tenant, workload=query.workload)
        page = self._read(query)
        key = self._key_prefix + reply_key(query.reply)
        self._client.set(key, page.model_dump_json(by_alias=True), ex=REPLY_LIFETIME_S)
        return page

    def _read(self, query: ReplayQuery) -> ReplayPage:
        of = {"tenant": query.tenant, "workload": query.workload, "endpoint": query.endpoint}
        with self._engine.connect() as connection:
            found, more = replay.results(
                connection,
                **of,
                after=query.after,
                limit=REPLAY_RESULTS_MAX,
                bytes_max=_PAGE_BYTES,
            )
            foreign = replay.is_elsewhere(connection, **of, number=query.after)
        wires = tuple(self._wire(one.job) | {"cursor": str(one.number)} for one in found)
        return ReplayPage(results=wires, more=more, foreign=foreign)

    def _wire(self, job: ends.JobEnd) -> dict[str, Any]:
        end = ends.of_job(job, OnFailure.RETURN)
        assert not isinstance(end, Failure), "a failure is returned as a value here"
        store_long_output(self._client, self._key_prefix, end)
        return end.wire
