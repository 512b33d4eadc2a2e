"""Settings of a caller that cannot work: refused at the first publish, never a silent hang."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final
from weakref import WeakSet

from celery import Celery

from unhurried.errors import CallerMisconfigured

#: The service keeps a chord's counters alive once it has admitted a part; before that, they live as
#: long as the caller says. Shorter than this, a service that restarts slowly would come too late.
_LIFETIME_MIN_S: Final = 3600

_checked: "WeakSet[Celery]" = WeakSet()


def require_workable(app: Celery) -> None:
    """Raise the first finding. Looks once an app."""
    if app in _checked:
        return
    for finding in findings(app):
        raise finding
    _checked.add(app)


def findings(app: Celery) -> Iterator[CallerMisconfigured]:
    """Everything that would hang or lose a result, each with the setting to change."""
    conf: Any = app.conf
    yield from _broker(conf)
    yield from _backend(app)
    yield from _content(conf)
    yield from _lifetimes(conf)
    if conf.task_always_eager:
        yield CallerMisconfigured(
            "task_always_eager",
            "True",
            "the task runs in the service, not here; switch eager mode off for calls to unhurried",
        )


def _broker(conf: Any) -> Iterator[CallerMisconfigured]:
    url = str(conf.broker_write_url or conf.broker_url or "")
    if not url.startswith(("redis://", "rediss://", "unhurried-redis://", "sentinel://")):
        scheme = url.partition("://")[0] or "not set"
        yield CallerMisconfigured(
            "broker_url",
            scheme,
            "use the service's Redis (redis://...), or set UNHURRIED_BROKER_URL to it",
        )


def _backend(app: Celery) -> Iterator[CallerMisconfigured]:
    found = type(app.backend).__name__
    if not hasattr(app.backend, "client") or ("Redis" not in found and "Sentinel" not in found):
        yield CallerMisconfigured(
            "result_backend",
            found,
            "results arrive through the service's Redis: use redis://..., or set "
            "UNHURRIED_BROKER_URL for a connection of its own",
        )


def _content(conf: Any) -> Iterator[CallerMisconfigured]:
    accepted = conf.result_accept_content or conf.accept_content
    if not {"json", "application/json"} & set(accepted):
        yield CallerMisconfigured(
            "accept_content", repr(list(accepted)), "add 'json': results arrive as JSON"
        )


def _lifetimes(conf: Any) -> Iterator[CallerMisconfigured]:
    for name in ("result_expires", "result_chord_expires"):
        value = conf.get(name)
        if value is None:
            continue
        lifetime_s = value.total_seconds() if isinstance(value, timedelta) else float(value)
        if 0 < lifetime_s < _LIFETIME_MIN_S:
            yield CallerMisconfigured(
                name,
                f"{lifetime_s:.0f} s",
                "a chord's counters would expire before its batch is admitted; use a day or more",
            )
