"""Celery's Redis backend, except that errbacks which need the failure itself are sent home with it, and that
nothing takes the place of a success.
"""

from collections.abc import Mapping
from typing import Any, Final

from celery import signature
from celery.backends.redis import RedisBackend

from unhurried.contract import ERRBACK_HEADER, ERRBACK_TASK

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


class HomewardRedisBackend(RedisBackend):
    """Wraps each errback that its caller marked into the task that calls it in the caller's worker.

    A result that says SUCCESS stays.
    """

    def _set(self, key: Any, value: Any, expires: int | None = None) -> None:
        lifetime_s = self.expires if expires is None else expires  # type: ignore[attr-defined]  # absent from the stubs
        self.client.eval(_SET, 1, key, value, int(lifetime_s or 0))

    def _call_task_errbacks(self, request: Any, exc: BaseException, traceback: Any) -> None:
        request.errbacks = [
            self._homeward(errback, request, exc, traceback) if _marked(errback) else errback
            for errback in request.errbacks
        ]
        super()._call_task_errbacks(request, exc, traceback)  # type: ignore[misc]  # absent from the stubs

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
