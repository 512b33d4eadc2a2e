"""Celery's Redis backend, except that errbacks which need the failure itself are sent home with it, that
nothing takes the place of a success, and that an outage fails no chord.
"""

import sys
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

import redis
from celery import signature
from celery.backends.redis import RedisBackend
from kombu.exceptions import OperationalError
from sqlalchemy.exc import SQLAlchemyError

from app.completion import once
from unhurried.contract import ERRBACK_HEADER, ERRBACK_TASK

#: Redis, the broker or the ledger is away: whoever publishes asks the ledger first. Nothing is wrong with a chord.
OUTAGES: Final = (redis.RedisError, OperationalError, OSError, SQLAlchemyError)
#: What such an errback finds in its request: what names the task, never its arguments.
_KNOWN: Final = ("id", "task", "root_id", "parent_id", "group")

#: Celery reads a result before it writes one. Of two that complete the same task at once, the slower would
#: put its failure in the place of the other's success.
_SET: Final = """
local known = redis.call('GETRANGE', KEYS[1], 0, 19)
if known == '{"status": "SUCCESS"' then return 0 end
if tonumber(ARGV[2]) > 0 then
  redis.call('SETEX', KEYS[1], ARGV[2], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1])
end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""


class _LastStep(threading.local):
    """A chord's last step, as this thread takes it."""

    client: Any = None
    #: What broke it off: the chord must stay as it is, so that the step can be taken again.
    outage: BaseException | None = None
    #: What was being handled when the step began.
    around: BaseException | None = None


class _Careful:
    """A client that deletes nothing of a chord whose last step has broken off."""

    def __init__(self, client: Any, step: _LastStep) -> None:
        self._client = client
        self._step = step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def delete(self, *keys: Any) -> Any:
        return 0 if self._step.outage is not None else self._client.delete(*keys)


class HomewardRedisBackend(RedisBackend):
    """Wraps each errback that its caller marked into the task that calls it in the caller's worker.

    A result that says SUCCESS stays.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._step = _LastStep()
        super().__init__(*args, **kwargs)

    @property
    def client(self) -> Any:
        """The connections; within a chord's last step those that take care of it."""
        return self._step.client or self._plain_client

    @cached_property
    def _plain_client(self) -> Any:
        return self._create_client(**self.connparams)  # type: ignore[attr-defined]  # absent from the stubs

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Listen for no end: the service waits for nothing that it publishes."""

    def on_chord_part_return(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Count a part; the last one publishes the body. Raises an outage, after which it may be repeated.

        Celery takes whatever goes wrong there for the chord's failure, and throws away what is paid for.
        """
        self._step.client, self._step.outage = _Careful(self._plain_client, self._step), None
        self._step.around = sys.exc_info()[1]
        try:
            with once.publishing_as(once.of_chord(str(request.group))):
                super().on_chord_part_return(request, *args, **kwargs)
        finally:
            self._step.client, self._step.outage, self._step.around = None, None, None

    def chord_error_from_stack(self, callback: Any, exc: Exception | None = None) -> Any:
        """Fail a chord's body, unless it is an outage that is being handled: that is raised again.

        So is one that keeps an errback from going out. Celery would keep it as the body's failure, and
        nobody would call the errback any more.
        """
        cause = sys.exc_info()[1]
        if isinstance(cause, OUTAGES):
            self._step.outage = cause
            raise cause
        self._step.outage = None
        found = super().chord_error_from_stack(callback, exc)
        if self._step.outage is not None:
            raise self._step.outage
        return found

    def fail_from_current_stack(self, task_id: str, exc: Exception | None = None) -> Any:
        """Keep a failure, unless an errback that comes before it could not go out."""
        if self._step.outage is not None:
            raise self._step.outage
        return super().fail_from_current_stack(task_id, exc)

    @property
    def _chord_cleanup_script(self) -> Callable[..., Any]:
        """Celery cleans up whatever became of the publishing, as a process that is told to end, too.

        A claim that is left runs out by itself.
        """
        clean_up = super()._chord_cleanup_script  # type: ignore[misc]  # absent from the stubs

        def unless_broken_off(*args: Any, **kwargs: Any) -> Any:
            broken_off = sys.exc_info()[1] is not self._step.around
            return 1 if broken_off else clean_up(*args, **kwargs)

        return unless_broken_off

    def _set(self, key: Any, value: Any, expires: int | None = None) -> None:
        lifetime_s = self.expires if expires is None else expires  # type: ignore[attr-defined]  # absent from the stubs
        self.client.eval(_SET, 1, key, value, int(lifetime_s or 0))

    def _call_task_errbacks(self, request: Any, exc: BaseException, traceback: Any) -> None:
        request.errbacks = [
            self._homeward(errback, request, exc, traceback) if _marked(errback) else errback
            for errback in request.errbacks
        ]
        try:
            super()._call_task_errbacks(request, exc, traceback)  # type: ignore[misc]  # absent from the stubs
        except OUTAGES as outage:
            self._step.outage = outage
            raise

    def _homeward(
        self, errback: Mapping[str, Any], request: Any, exc: BaseException, traceback: Any
    ) -> Any:
        known = {name: getattr(request, name, None) for name in _KNOWN}
        failure = {
            "request": {name: value for name, value in known.items() if isinstance(value, str)},
            "exc": self.prepare_exception(exc),  # type: ignore[arg-type]  # the stubs are narrower than Celery
            "traceback": traceback if isinstance(traceback, str) else None,
        }
        # Its own task id and queue, which completion has pinned.
        options = {**errback["options"], "headers": {}}
        return signature(
            ERRBACK_TASK,
            kwargs={"errback": dict(errback), "failure": failure},
            options=options,
            app=self.app,  # type: ignore[attr-defined]  # absent from the stubs
        )


def backend_url(redis_url: str) -> str:
    """The `result_backend` that names this class, for a Redis URL."""
    return f"{__name__}:{HomewardRedisBackend.__name__}+{redis_url}"


def _marked(errback: Any) -> bool:
    if not isinstance(errback, Mapping):
        return False
    headers = (errback.get("options") or {}).get("headers") or {}
    return bool(headers.get(ERRBACK_HEADER))
