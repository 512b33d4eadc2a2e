"""A run in the hand: how far it is, what came of it, and the message that seals it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

from celery import Celery, Signature
from celery.result import AsyncResult

from unhurried import asking
from unhurried.binding import key_prefix, redis_answers, redis_of
from unhurried.change_wire import Changed, Of, Wished
from unhurried.changing import When, change
from unhurried.contract import QUEUES, Endpoint, Tier
from unhurried.errors import ServiceUnavailable, UnknownJob
from unhurried.gathered import Results
from unhurried.options import Notices, notices
from unhurried.pages import Pages
from unhurried.publishing import stub
from unhurried.readers import Reply
from unhurried.run_wire import (
    CANCEL_RUN_TASK,
    RUN_TASK,
    RunCounts,
    RunState,
    run_key,
)
from unhurried.schemas import Schema

_RUNS: Final = UUID("6c1b7f0e-93d5-4a1e-9a0e-756e68757272")
_LATER: Final = "the run goes on: look again by its id"
_ENDED: Final = frozenset({RunState.ENDED, RunState.CANCELLED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a run is."""

    state: RunState
    #: Calls that its caller has published so far.
    published: int
    #: Parts there are; None until the run is sealed.
    total: int | None
    #: Parts that have ended, `failed` of them without an answer.
    done: int
    failed: int
    #: Parts in the ledger, and how many of them wait for a provider or are with one.
    admitted: int
    waiting: int
    in_flight: int


class Run:
    """Many calls published as one. Holds an id and no connection; make it again in another process by id.

    Everything here may raise ServiceUnavailable where Redis does not answer, and UnknownJob where
    neither Redis nor the ledger knows the id.
    """

    def __init__(self, run_id: str, *, app: Celery) -> None:
        self.id = run_id
        self._app = app

    def __repr__(self) -> str:
        """Shows the id alone."""
        return f"<Run {self.id}>"

    @property
    def progress(self) -> Progress:
        """How far it is, as the service saw it some seconds ago."""
        found = self._look()
        seen = _counts(found)
        return Progress(
            state=seen.state,
            published=max(int(found.get(b"published", 0)), seen.admitted),
            total=seen.total,
            done=seen.done,
            failed=seen.failed,
            admitted=seen.admitted,
            waiting=seen.waiting,
            in_flight=seen.in_flight,
        )

    @property
    def expected_at(self) -> datetime | None:
        """When it is likely to end: nine of ten like these took no longer. None where nobody can tell."""
        return _counts(self._look()).expected_at

    @property
    def celery(self) -> "AsyncResult[Any]":
        """Celery's own handle of the run's end, new each time."""
        return AsyncResult(self.id, app=self._app)

    def ready(self) -> bool:
        """Whether it has ended."""
        return self.progress.state in _ENDED

    def cancel(self, *, why: str | None = None, request_id: UUID | None = None) -> Changed | None:
        """Drop what waits. What is at a provider comes to its end and is paid, a provider batch that holds
        nothing else is ended; then the run ends cancelled, `then` does not run, and the run's own task fails
        with JobCancelled. May be repeated.

        With a reason it says what it did, and raises as `unhurried.changing.change` does.
        """
        if why is None:
            asking.command(self._app, CANCEL_RUN_TASK, {"run_id": self.id})
            return None
        return change(self._app, Wished.CANCEL, Of.RUN, self.id, why=why, request_id=request_id)

    def expedite(
        self,
        tier: Tier | str = Tier.NEAR_REAL_TIME,
        *,
        why: str,
        request_id: UUID | None = None,
    ) -> Changed:
        """Have its parts that wait answered at a faster tier, at that tier's price; as a job's `expedite`."""
        return change(
            self._app,
            Wished.EXPEDITE,
            Of.RUN,
            self.id,
            why=why,
            request_id=request_id,
            tier=tier,
        )

    def due(self, at: When, *, why: str, request_id: UUID | None = None) -> Changed:
        """Give its parts another due time; as a job's `due`."""
        return change(
            self._app, Wished.DUE, Of.RUN, self.id, why=why, request_id=request_id, due=at
        )

    def results(self, *, schema: Schema | None = None) -> Results:
        """The parts that have ended, in the order of their calls; read page by page when gone through."""
        seen = self.progress
        # Of a cancelled run some parts never came to be: nothing is missing.
        total = seen.done if seen.state is RunState.ENDED else None
        return Results(Pages(self._app, self.id, total=total, schema=schema))

    def _look(self) -> dict[bytes, bytes]:
        found = self._hash()
        if not found and self._brought_back():
            found = self._hash()
        return found

    def _brought_back(self) -> bool:
        reply = asking.restore_run(self._app, self.id)
        if reply is Reply.UNKNOWN:
            raise UnknownJob(self.id)
        if reply is None:
            raise ServiceUnavailable(
                f"Redis knows no run {self.id!r}, and the service has not said whether it does; ask again"
            )
        return True

    def _hash(self) -> dict[bytes, bytes]:
        with redis_answers(_LATER):
            found: dict[bytes, bytes] = redis_of(self._app).hgetall(
                key_prefix(self._app) + run_key(self.id)
            )
        return found


def _counts(found: dict[bytes, bytes]) -> RunCounts:
    """What the service has said; before its first word, what the caller has done."""
    said = found.get(b"counts")
    if said is not None:
        return RunCounts.model_validate_json(said)
    state = RunState.RUNNING if b"sealed" in found else RunState.PUBLISHING
    return RunCounts(state=state, looked_at=datetime.now(UTC))


class Seal:
    """The last message of a run: how many parts there are, and what follows when they have ended."""

    def __init__(
        self,
        app: Celery,
        *,
        endpoint: Endpoint,
        run_id: str,
        then: "Signature[Any] | None",
        notify: Notices | None,
    ) -> None:
        """Raises ValueError for a `notify` that is none."""
        self._app = app
        self._endpoint = endpoint
        self._run_id = run_id
        self._then = then
        self._notify = [one.model_dump(mode="json") for one in notices(notify or [])]

    def publish(self, *, total: int, tier: Tier, common: Mapping[str, Any]) -> None:
        """Seal the run. May be repeated: the same seal is the same task."""
        options = {
            "tier": tier,
            "notify": self._notify,
            **{name: common[name] for name in ("workload", "tenant") if common.get(name)},
        }
        stub(self._app, RUN_TASK).apply_async(
            kwargs={
                "request": {"endpoint": self._endpoint, "total": total},
                "options": options,
            },
            task_id=self._run_id,
            link=[self._then] if self._then is not None else None,
            queue=QUEUES[tier],
            argsrepr=f"<run of {total} {self._endpoint} calls>",
            kwargsrepr="{}",
        )
        with redis_answers(_LATER):
            redis_of(self._app).hset(key_prefix(self._app) + run_key(self._run_id), "sealed", 1)


def id_of_run(endpoint: Endpoint, key: object, *, tenant: str) -> str:
    """The id of a run: its key's, or a new one."""
    if key is None:
        return str(uuid4())
    return str(uuid5(_RUNS, f"{tenant}\0{endpoint}\0{key}"))
