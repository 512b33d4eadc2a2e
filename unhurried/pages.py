"""The parts of a run as a sequence that holds one page of them at a time."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final, overload

from celery import Celery, states

from unhurried import asking, stored
from unhurried.binding import key_prefix, redis_answers, redis_of
from unhurried.contract import RESULT_SCHEMA
from unhurried.errors import JobFailed, ServiceUnavailable, UnknownJob
from unhurried.readers import Reply
from unhurried.results import Result
from unhurried.run_wire import parts_key
from unhurried.schemas import Schema

#: Results read in one round trip.
_PAGE: Final = 200
_LATER: Final = "read the run later by its id"


class Pages(Sequence[Result]):
    """Results in the order of their calls, read from Redis page by page; parts that have not ended are
    left out of an iteration. `total` is known of a run that has ended: what is missing then was lost, and
    is asked for at the service.

    Raises ServiceUnavailable where Redis does not answer; UnknownJob for a run that nobody knows.
    """

    def __init__(
        self, app: Celery, run_id: str, *, total: int | None, schema: Schema | None = None
    ) -> None:
        self._app = app
        self._run_id = run_id
        self._total = total
        self._schema = schema
        self._fetch = partial(stored.output, app)

    def __len__(self) -> int:
        with redis_answers(_LATER):
            count: int = redis_of(self._app).zcard(self._parts_key())
        if self._total is not None and count < self._total and self._brought_back():
            with redis_answers(_LATER):
                count = redis_of(self._app).zcard(self._parts_key())
        return count

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> list[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | list[Result]:
        if isinstance(index, slice):
            return list(self)[index]
        place = index if index >= 0 else len(self) + index
        found = self._page(place, place) if place >= 0 else []
        if not found:
            raise IndexError(index)
        return found[0]

    def __iter__(self) -> Iterator[Result]:
        for start in range(0, len(self), _PAGE):
            yield from self._page(start, start + _PAGE - 1)

    def _page(self, first: int, last: int) -> list[Result]:
        with redis_answers(_LATER):
            found: list[bytes] = redis_of(self._app).zrange(self._parts_key(), first, last)
        task_ids = [one.decode() for one in found]
        metas = self._metas(task_ids)
        lost = self._total is not None and any(meta is None for meta in metas)
        if lost and self._brought_back():
            metas = self._metas(task_ids)
        return [
            self._read(meta)
            for meta in metas
            if meta is not None and meta["status"] in states.READY_STATES
        ]

    def _metas(self, task_ids: list[str]) -> list[dict[str, Any] | None]:
        backend: Any = self._app.backend
        if not task_ids:
            return []
        with redis_answers(_LATER):
            raw = redis_of(self._app).mget([backend.get_key_for_task(one) for one in task_ids])
        return [backend.decode_result(one) if one is not None else None for one in raw]

    def _read(self, meta: dict[str, Any]) -> Result:
        value = meta["result"]
        if meta["status"] != states.SUCCESS:
            value = {"schema": RESULT_SCHEMA, "error": _told(value)}
        return Result.parse(value, fetch=self._fetch, schema=self._schema)

    def _brought_back(self) -> bool:
        """Whether the service has put back what Redis had lost. Raises UnknownJob or ServiceUnavailable."""
        reply = asking.restore_run(self._app, self._run_id)
        if reply is Reply.UNKNOWN:
            raise UnknownJob(self._run_id)
        if reply is None:
            raise ServiceUnavailable(
                f"Redis has lost results of run {self._run_id}, and the service is not done with bringing "
                "them back; ask again"
            )
        return reply is Reply.RESTORED

    def _parts_key(self) -> str:
        return key_prefix(self._app) + parts_key(self._run_id)


def _told(error: Any) -> dict[str, Any]:
    if isinstance(error, JobFailed):
        return {
            "code": error.code,
            "message": error.message,
            "retryable": error.retryable,
            "request_id": error.request_id,
        }
    return {"code": "error", "message": str(error)}
