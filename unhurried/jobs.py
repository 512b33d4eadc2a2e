"""A published call in the hand: where it is, and what came of it."""

import time
from datetime import timedelta
from typing import Any, Final

from celery import Celery, states
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult, allow_join_result
from redis.exceptions import RedisError

from unhurried.binding import key_prefix, redis_of
from unhurried.contract import ADMITTED_STATE, Marker, Tier, marker_key, output_key
from unhurried.errors import NotReady, ServiceUnavailable, UnhurriedError, UnknownJob
from unhurried.results import Result

#: One look at Redis at least this often: a dead socket is otherwise never noticed by a long get().
_SLICE_S: Final = 20.0
#: What a direct call is waited for where nobody says how long.
_SYNC_TIMEOUT_S: Final = 120.0

_STATES: Final = {
    states.PENDING: "published",
    ADMITTED_STATE: "waiting",
    states.STARTED: "running",
    states.SUCCESS: "succeeded",
    states.FAILURE: "failed",
    states.REVOKED: "cancelled",
}


class Job:
    """One published call. Holds an id and no connection; make it again in another request by id."""

    def __init__(self, task_id: str, *, app: Celery, tier: Tier | None = None) -> None:
        self.id = task_id
        self._app = app
        self._tier = tier

    def __repr__(self) -> str:
        """Shows the id alone."""
        return f"<Job {self.id}>"

    @property
    def celery(self) -> "AsyncResult[Any]":
        """Celery's own handle."""
        return AsyncResult(self.id, app=self._app)

    @property
    def tier(self) -> Tier:
        """The tier it was published at. Raises UnknownJob."""
        if self._tier is None:
            self._tier = self._marker().tier
        return self._tier

    @property
    def state(self) -> str:
        """published, waiting, running, succeeded, failed or cancelled. Raises UnknownJob."""
        found = self.celery.state
        if found == states.PENDING:
            self._marker()
        return _STATES.get(found, found.lower())

    def ready(self) -> bool:
        """Whether it has ended."""
        return self.celery.ready()

    def successful(self) -> bool:
        """Whether it ended with a result; with `on_failure="return"` that may be an error value."""
        return self.celery.successful()

    def failed(self) -> bool:
        """Whether it ended with an exception."""
        return self.celery.failed()

    def result(self) -> Result:
        """The result now. Raises UnknownJob, NotReady, or the job's own error."""
        found = self.celery
        state = found.state
        if state not in states.READY_STATES:
            raise NotReady(self.id, self.state)
        value: Any = found.result
        if state != states.SUCCESS:
            raise value if isinstance(value, BaseException) else UnhurriedError(str(value))
        return Result.parse(value, fetch=self._fetch)

    def get(self, timeout: float | timedelta | None = None) -> Result:
        """Wait for the result. Raises the job's own error, or Celery's TimeoutError.

        A job that nobody waits for is not waited for: without `timeout` this is a TypeError unless
        the tier is sync.
        """
        if timeout is None:
            if self.tier is not Tier.SYNC:
                raise TypeError(
                    f"a {self.tier} job takes long: give get() a timeout, or be told instead - "
                    "notify=email.to(...), a chord or link, or messages.read(job.id, ...) later"
                )
            timeout = _SYNC_TIMEOUT_S
        span_s = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
        return Result.parse(self._wait(span_s), fetch=self._fetch)

    def _wait(self, span_s: float) -> Any:
        until = time.monotonic() + span_s
        # A new handle for each slice: its first act is a fresh GET.
        while True:
            left_s = until - time.monotonic()
            try:
                with allow_join_result():
                    return self.celery.get(timeout=max(min(left_s, _SLICE_S), 0.01))
            except CeleryTimeoutError:
                if time.monotonic() >= until:
                    raise CeleryTimeoutError(
                        f"job {self.id} is {self.state} after {span_s:g} s; it goes on: read it later "
                        "by this id"
                    ) from None

    def revoke(self) -> None:
        """Ask for it to be dropped, as Celery does."""
        self.celery.revoke()

    def _marker(self) -> Marker:
        try:
            found = redis_of(self._app).get(key_prefix(self._app) + marker_key(self.id))
        except RedisError as error:
            raise ServiceUnavailable(f"Redis does not answer: {error}") from error
        if found is None:
            raise UnknownJob(self.id)
        return Marker.model_validate_json(found)

    def _fetch(self, result_id: str) -> str:
        found = redis_of(self._app).get(key_prefix(self._app) + output_key(result_id))
        if found is None:
            raise UnknownJob(self.id)
        return bytes(found).decode()
