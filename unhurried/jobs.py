"""A published call in the hand: where it is, and what came of it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from celery import Celery, states
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult

from unhurried import asking, metas, pick_ups, stored
from unhurried.binding import key_prefix, redis_answers, redis_of, require_redis
from unhurried.change_wire import Changed, Of, Wished
from unhurried.changing import When, change
from unhurried.contract import ADMITTED_STATE, Marker, Tier, marker_key
from unhurried.errors import (
    CallError,
    JobCancelled,
    NotReady,
    ServiceUnavailable,
    UnhurriedError,
    UnknownJob,
)
from unhurried.progress import PROGRESS_STATE, Progress
from unhurried.readers import Reply
from unhurried.results import Result
from unhurried.schemas import Schema

#: What a direct call is waited for where nobody says how long.
_SYNC_TIMEOUT_S: Final = 120.0
_LATER: Final = "the job goes on: read it later by its id"
#: A published call is admitted within seconds. One that is pending for longer than this either waits for a
#: service that is down, or Redis has lost what became of it.
_ADMITTED_WITHIN: Final = timedelta(minutes=10)

_STATES: Final = {
    states.PENDING: "published",
    ADMITTED_STATE: "waiting",
    states.STARTED: "running",
    PROGRESS_STATE: "running",
    states.SUCCESS: "succeeded",
    states.FAILURE: "failed",
    states.REVOKED: "cancelled",
}


class Job:
    """One published call. Holds an id and no connection; make it again in another request by id.

    Everything here may raise ServiceUnavailable where Redis does not answer.
    """

    def __init__(
        self, task_id: str, *, app: Celery, tier: Tier | None = None, schema: Schema | None = None
    ) -> None:
        self.id = task_id
        self._app = app
        self._tier = tier
        self._schema = schema

    def __repr__(self) -> str:
        """Shows the id alone."""
        return f"<Job {self.id}>"

    @property
    def task_id(self) -> str:
        """The same id, by Celery's name."""
        return self.id

    @property
    def celery(self) -> "AsyncResult[Any]":
        """Celery's own handle, new each time."""
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
        state, value = self._look()
        # To Celery a job that was cancelled has failed, with an error that says so.
        return "cancelled" if isinstance(value, JobCancelled) else self._named(state)

    @property
    def progress(self) -> Progress | None:
        """How far a near-real-time answer is: tokens and text so far; None while nothing is told."""
        state, value = self._look()
        return Progress.read(value) if state == PROGRESS_STATE else None

    def ready(self) -> bool:
        """Whether it has ended."""
        return self._look()[0] in states.READY_STATES

    def successful(self) -> bool:
        """Whether it ended with a result; with `on_failure="return"` that may be an error value."""
        return self._look()[0] == states.SUCCESS

    def failed(self) -> bool:
        """Whether it ended with an exception."""
        return self._look()[0] == states.FAILURE

    def result(self) -> Result:
        """The result now. Raises UnknownJob, NotReady, or the job's own error.

        A result that Redis has lost is asked for at the service, for at most a few seconds.
        """
        found = self.peek()
        pick_ups.record(self._app, [found])
        return found

    def peek(self) -> Result:
        """As `result`, but nobody is told that it was picked up."""
        state, value = self._look()
        if state == states.PENDING:
            state, value = self._bring_back(state, value)
        if state == states.SUCCESS:
            return Result.parse(value, fetch=self._fetch, schema=self._schema)
        if state == states.REVOKED:
            raise JobCancelled("cancelled", f"cancelled: {value}", False, None, self.id)  # noqa: FBT003 - Celery rebuilds errors positionally
        if state != states.FAILURE:
            raise NotReady(self.id, self._named(state))
        raise value if isinstance(value, BaseException) else UnhurriedError(str(value))

    def get(self, timeout: float | timedelta | None = None) -> Result:
        """Wait for the result. Raises the job's own error, or Celery's TimeoutError that names the job.

        A job that nobody waits for is not waited for: without `timeout` (seconds) this is a TypeError
        unless the tier is sync. Safe in a view and inside another task.
        """
        if timeout is None:
            if self.tier is not Tier.SYNC:
                raise TypeError(
                    f"a {self.tier} job takes long: give get() a timeout, or be told instead - "
                    "notify=email.to(...), a chord or link, or messages.read(job.id, ...) later"
                )
            timeout = _SYNC_TIMEOUT_S
        self._wait(timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout))
        return self.result()

    def cancel(self, *, why: str, request_id: UUID | None = None) -> Changed:
        """Want it no more. May be repeated; see `unhurried.changing.change` for what is raised.

        A job that waits ends at once, and its task fails with JobCancelled. One that is with a provider is
        not sent again; an answer that comes all the same is paid for, and is this task's result. Where other
        tasks wait for the same job, this task ends alone.
        """
        if self._tier is Tier.SYNC:
            raise CallError("a sync call is answered at once: revoke() it, or let its timeout pass")
        return change(self._app, Wished.CANCEL, Of.TASK, self.id, why=why, request_id=request_id)

    def expedite(
        self,
        tier: Tier | str = Tier.NEAR_REAL_TIME,
        *,
        why: str,
        request_id: UUID | None = None,
    ) -> Changed:
        """Have it answered at a faster tier, at that tier's price. One that is with a provider stays there.

        What is raised, see `unhurried.changing.change`.
        """
        return change(
            self._app,
            Wished.EXPEDITE,
            Of.TASK,
            self.id,
            why=why,
            request_id=request_id,
            tier=tier,
        )

    def due(self, at: When, *, why: str, request_id: UUID | None = None) -> Changed:
        """Give it another due time: a moment, a span from now ("8h"), or None for as long as it takes.

        Sooner than before only where nobody else waits for it. What is raised, see
        `unhurried.changing.change`.
        """
        return change(
            self._app, Wished.DUE, Of.TASK, self.id, why=why, request_id=request_id, due=at
        )

    def revoke(self) -> None:
        """Ask for it to be dropped, as Celery does: service and workers that are down do not hear it.

        The service honours it hours later: the task becomes REVOKED, and the job ends with it unless
        others wait for it. `cancel` is heard for certain, and says what it did.
        """
        with redis_answers("repeat the revoke"):
            require_redis(self._app)
            self.celery.revoke()

    def _wait(self, span_s: float) -> None:
        if not metas.ends(self._app, self.id, within_s=span_s, remedy=_LATER):
            raise CeleryTimeoutError(f"job {self.id} is {self.state} after {span_s:g} s; {_LATER}")

    def _look(self) -> tuple[str, Any]:
        """Celery's state and value, from one read."""
        return metas.look(self._app, self.id, remedy=_LATER)

    def _bring_back(self, state: str, value: Any) -> tuple[str, Any]:
        """Celery's state and value once the service was asked for what Redis has lost."""
        marker = self._found_marker()
        if marker is not None and datetime.now(UTC) - marker.published_at < _ADMITTED_WITHIN:
            return state, value
        reply = asking.restore(self._app, self.id)
        if reply is Reply.RESTORED:
            return self._look()
        if reply is Reply.WAITING:
            raise NotReady(self.id, "waiting")
        if reply is None and marker is None:
            raise ServiceUnavailable(
                f"Redis knows no job {self.id!r}, and the service did not answer whether it does; ask again"
            )
        return state, value

    def _named(self, state: str) -> str:
        if state == states.PENDING:
            # To Celery every id that it has never seen is pending.
            self._marker()
        return _STATES.get(state, state.lower())

    def _marker(self) -> Marker:
        found = self._found_marker()
        if found is None:
            raise UnknownJob(self.id)
        return found

    def _found_marker(self) -> Marker | None:
        with redis_answers(_LATER):
            found = redis_of(self._app).get(key_prefix(self._app) + marker_key(self.id))
        return Marker.model_validate_json(found) if found is not None else None

    def _fetch(self, result_id: str) -> str:
        try:
            return stored.output(self._app, result_id)
        except UnknownJob:
            if asking.restore(self._app, self.id) is not Reply.RESTORED:
                raise
            # What came back may say that it was pruned.
            state, value = self._look()
            if state == states.FAILURE and isinstance(value, BaseException):
                raise value from None
        return stored.output(self._app, result_id)
