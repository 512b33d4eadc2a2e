"""The stub of a task that runs in the service: publishes messages, never runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from celery import Celery, Task
from celery.result import AsyncResult
from celery.signals import celeryd_after_setup
from celery.utils import uuid
from kombu import Exchange, Queue

from unhurried.binding import (
    RETRY_POLICY,
    key_prefix,
    producer_of,
    redis_answers,
    redis_of,
    require_redis,
)
from unhurried.checks import require_workable
from unhurried.consumers import announce
from unhurried.contract import (
    CONTRACT_HEADER,
    CONTRACT_VERSION,
    HOME_QUEUE_HEADER,
    NOTIFY_QUEUE,
    NOTIFY_TASKS,
    ORIGIN_HEADER,
    QUEUES,
    REDIS_LIFETIME_S,
    TASK_NAMES,
    TELLS_HEADER,
    Marker,
    Tier,
    marker_key,
)
from unhurried.errbacks import mark
from unhurried.errors import CallError, MissingTier
from unhurried.origin import origin
from unhurried.presence import require_served

_CELERYS_DEFAULT_QUEUE: Final = "celery"
_AGAIN: Final = "repeat the call with the same idempotency_key"


#: Whether a handle that Celery asks for now is of what has gone out.
_PUBLISHED: ContextVar[bool] = ContextVar("published", default=False)


@contextmanager
def _published() -> Iterator[None]:
    token = _PUBLISHED.set(True)
    try:
        yield
    finally:
        _PUBLISHED.reset(token)


class RemoteTask(Task):  # type: ignore[type-arg]
    """What stands in a caller's app for a task of the service."""

    abstract = True
    typing = False
    # Flask's documented Celery set-up ignores results of every task; ours are worth money.
    ignore_result = False
    serializer = "json"

    def apply_async(
        self,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        *positional: Any,
        **options: Any,
    ) -> Any:
        """Publish one message, its marker first.

        A queue that is set on a whole group or chord is meant for the caller's own tasks: ours keep
        the queue of their tier. Raises CallError, CallerMisconfigured, or ServiceUnavailable within
        seconds.
        """
        app: Celery = self.app
        require_workable(app)
        task_id = task_id or uuid()
        kwargs = _stamped(self.name, dict(kwargs or {}))
        tier = _tier(self.name, kwargs)
        options |= _destination(NOTIFY_QUEUE if self.name in NOTIFY_TASKS else QUEUES[tier])
        # The service decodes plain JSON and nothing else.
        options |= {"serializer": "json", "compression": None}
        options["headers"] = {**(options.get("headers") or {}), **message_headers(app)}
        options = mark(options, app)
        options.setdefault("retry_policy", RETRY_POLICY)
        with redis_answers(_AGAIN):
            require_served(app)
            _mark(app, task_id, self.name, tier)
            announce(app)
            # A canvas hands over Celery's own producer, which may wait for ever.
            options.pop("producer", None)
            rest = positional[1:]
            with producer_of(app) as producer, _published():
                return super().apply_async(args, kwargs, task_id, producer, *rest, **options)

    def AsyncResult(self, task_id: str, **options: Any) -> "AsyncResult[Any]":  # noqa: N802 - Celery's name
        """Celery's handle of a task.

        A canvas asks for that of each of its tasks right before it is published, and a chord then subscribes
        through a client that waits for minutes: that Redis answers is seen here. Raises ServiceUnavailable.
        """
        if not _PUBLISHED.get():
            with redis_answers(_AGAIN):
                require_redis(self.app)
        return super().AsyncResult(task_id, **options)


def stub(app: Celery, name: str) -> Any:
    """The task of this name on this app: the service's own where it is registered, else our stub."""
    if name not in app.tasks:
        app.task(name=name, base=RemoteTask, shared=False, lazy=False)(_runs_elsewhere)
    return app.tasks[name]


@celeryd_after_setup.connect(weak=False)
def _know_ours(instance: Any, **_: Any) -> None:
    """Let a caller's worker publish the steps of a canvas that are ours as its handles would."""
    for name in TASK_NAMES.values():
        stub(instance.app, name)


# One positional argument at most: to Celery, more of them make an errback that it calls in its own
# process instead of publishing it, and a mail about a failure would never be sent.
def _runs_elsewhere(_upstream: Any = None, **_arguments: Any) -> None:
    raise CallError("this task runs in the service: publish it with .delay, .s or .call")


def _stamped(name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the moment of publishing; freshness counts from it unless told otherwise."""
    if name in NOTIFY_TASKS:
        return kwargs
    stray = kwargs.keys() - {"request", "options"}
    if stray:
        raise CallError(
            f"{', '.join(sorted(stray))} came too late: say every argument where the signature is built"
        )
    now = datetime.now(UTC).isoformat()
    return {
        **kwargs,
        "options": {"published_at": now, "as_of": now, **(kwargs.get("options") or {})},
    }


def _tier(name: str, kwargs: dict[str, Any]) -> Tier:
    if name in NOTIFY_TASKS:
        return Tier.NEAR_REAL_TIME
    tier = kwargs["options"].get("tier")
    if tier not in list(Tier):
        raise MissingTier(
            f"{name} was published by hand without a tier: build it with .s(tier=...)"
        )
    return Tier(tier)


def _destination(queue: str) -> dict[str, Any]:
    """Straight to one queue, whatever the caller's routes and declared queues say."""
    return {
        # An object, since a caller with task_create_missing_queues=False knows no name of ours.
        "queue": Queue(queue, Exchange(queue, type="direct"), routing_key=queue),
        "exchange": "",
        "routing_key": queue,
    }


def message_headers(app: Celery) -> dict[str, Any]:
    """What every message of ours says beside Celery's own headers."""
    return {**canvas_headers(app), ORIGIN_HEADER: origin()}


def canvas_headers(app: Celery) -> dict[str, Any]:
    """What a signature carries, whoever publishes it: as a later step that is the service itself."""
    headers: dict[str, Any] = {CONTRACT_HEADER: CONTRACT_VERSION, TELLS_HEADER: True}
    home = app.conf.task_default_queue
    if home != _CELERYS_DEFAULT_QUEUE:
        headers[HOME_QUEUE_HEADER] = home
    return headers


def _mark(app: Celery, task_id: str, name: str, tier: Tier) -> None:
    """Leave a trace before the message: afterwards, "no trace" means "never published"."""
    marker = Marker(tier=tier, endpoint=name, published_at=datetime.now(UTC))
    redis_of(app).set(
        key_prefix(app) + marker_key(task_id), marker.model_dump_json(), ex=REDIS_LIFETIME_S
    )
