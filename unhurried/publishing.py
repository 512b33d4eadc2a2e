"""The stub of a task that runs in the service: publishes messages, never runs."""

from datetime import UTC, datetime
from typing import Any, Final

from celery import Celery, Task
from celery.utils import uuid
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from unhurried.binding import key_prefix, redis_of
from unhurried.checks import require_workable
from unhurried.contract import (
    CONTRACT_HEADER,
    CONTRACT_VERSION,
    HOME_QUEUE_HEADER,
    ORIGIN_HEADER,
    REDIS_LIFETIME_S,
    Marker,
    Tier,
    marker_key,
)
from unhurried.errors import CallError, ServiceUnavailable
from unhurried.origin import origin

#: A web request must not hang on a Redis that is down.
_RETRY_POLICY: Final = {
    "max_retries": 2,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.4,
}
_CELERYS_DEFAULT_QUEUE: Final = "celery"


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
        """Publish one message. Raises CallerMisconfigured, or ServiceUnavailable within seconds."""
        app: Celery = self.app
        require_workable(app)
        task_id = task_id or uuid()
        kwargs = _stamped(dict(kwargs or {}))
        options["headers"] = {**_headers(app), **(options.get("headers") or {})}
        options.setdefault("retry_policy", _RETRY_POLICY)
        try:
            _mark(app, task_id, self.name, kwargs)
            return super().apply_async(args, kwargs, task_id, *positional, **options)
        except (OperationalError, RedisError, RuntimeError, OSError) as error:
            raise ServiceUnavailable(
                f"Redis did not take the call ({type(error).__name__}: {error}); repeat it with the "
                "same idempotency_key"
            ) from error


def stub(app: Celery, name: str) -> Any:
    """The task of this name on this app: the service's own where it is registered, else our stub."""
    if name not in app.tasks:
        app.task(name=name, base=RemoteTask, shared=False, lazy=False)(_runs_elsewhere)
    return app.tasks[name]


def _runs_elsewhere(*_args: Any, **_kwargs: Any) -> None:
    raise CallError("this task runs in the service: publish it with .delay, .s or .call")


def _stamped(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the moment of publishing; freshness counts from it unless told otherwise."""
    options = kwargs.get("options")
    if not isinstance(options, dict):
        return kwargs
    return {**kwargs, "options": {"published_at": datetime.now(UTC).isoformat(), **options}}


def _headers(app: Celery) -> dict[str, Any]:
    headers: dict[str, Any] = {CONTRACT_HEADER: CONTRACT_VERSION, ORIGIN_HEADER: origin()}
    home = app.conf.task_default_queue
    if home != _CELERYS_DEFAULT_QUEUE:
        headers[HOME_QUEUE_HEADER] = home
    return headers


def _mark(app: Celery, task_id: str, name: str, kwargs: dict[str, Any]) -> None:
    """Leave a trace before the message: afterwards, "no trace" means "never published"."""
    options = kwargs.get("options") or {}
    marker = Marker(
        tier=Tier(options.get("tier", Tier.BATCH)), endpoint=name, published_at=datetime.now(UTC)
    )
    redis_of(app).set(
        key_prefix(app) + marker_key(task_id), marker.model_dump_json(), ex=REDIS_LIFETIME_S
    )
