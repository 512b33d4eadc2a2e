"""Settings of a caller that cannot work: refused at the first publish, never a silent hang."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

from celery import Celery
from celery.exceptions import ImproperlyConfigured

from unhurried.errors import CallerMisconfigured

#: A chord's counter lives as long as its caller says until the service has admitted the parts; from
#: then on the service keeps it alive. So a day, Celery's default, is plenty, and only a lifetime that
#: a slow restart of the service could outlast is refused.
_LIFETIME_MIN_S: Final = 3600

_JSON: Final = frozenset({"json", "application/json"})
_OWN_CONNECTION: Final = "or set UNHURRIED_BROKER_URL to the service's Redis"
#: `unhurried-redis` is how the service itself publishes.
_REDIS_SCHEMES: Final = frozenset({"redis", "rediss", "sentinel", "unhurried-redis"})
#: What stands before the priority in the name of a list; kombu's own.
_SEPARATOR: Final = "\x06\x16"
_LOOPBACK: Final = frozenset({"", "localhost", "127.0.0.1", "::1"})

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
    broker = list(_broker(conf))
    backend = list(_backend(app))
    yield from broker
    yield from backend
    if not broker and not backend:
        yield from _one_redis(app)
    yield from _content(conf)
    yield from _messages(conf)
    yield from _chords(conf)


def _broker_url(conf: Any) -> str:
    configured = conf.broker_write_url or conf.broker_url or ""
    first = configured if isinstance(configured, str) else next(iter(configured), "")
    return first.partition(";")[0]


def _broker(conf: Any) -> Iterator[CallerMisconfigured]:
    scheme = urlsplit(_broker_url(conf)).scheme
    if scheme not in _REDIS_SCHEMES:
        yield CallerMisconfigured(
            "broker_url",
            scheme or "not set",
            f"use the service's Redis (redis://...), {_OWN_CONNECTION}",
        )


def _backend(app: Celery) -> Iterator[CallerMisconfigured]:
    remedy = f"results arrive through the service's Redis: use redis://..., {_OWN_CONNECTION}"
    try:
        backend: Any = app.backend
    # What its name, its address or a missing library raises.
    except (ImproperlyConfigured, ImportError, ValueError) as error:
        conf: Any = app.conf
        found = f"{conf.result_backend!r}, which cannot be used ({error})"
        yield CallerMisconfigured("result_backend", found, remedy)
        return
    found = type(backend).__name__
    if not hasattr(backend, "client") or ("Redis" not in found and "Sentinel" not in found):
        yield CallerMisconfigured("result_backend", found, remedy)


def _one_redis(app: Celery) -> Iterator[CallerMisconfigured]:
    """The service has one Redis: a result that is looked for in another never arrives."""
    conf: Any = app.conf
    backend: Any = app.backend
    broker, results = _place(_broker_url(conf)), _place(str(backend.url or ""))
    if broker != results:
        yield CallerMisconfigured(
            "result_backend",
            f"at {results or 'a Sentinel'}, and broker_url at {broker or 'a Sentinel'}",
            f"both must name the service's one Redis database, {_OWN_CONNECTION}",
        )
    sent = _prefix(conf.broker_transport_options)
    stored = _prefix(conf.result_backend_transport_options)
    if sent != stored:
        yield CallerMisconfigured(
            "result_backend_transport_options['global_keyprefix']",
            f"{stored!r}, and in broker_transport_options {sent!r}",
            "the service has one prefix for both: give both the same",
        )


def _place(url: str) -> str | None:
    """`host:port/database` of a plain Redis URL; None where it cannot be told."""
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "unhurried-redis"}:
        return None
    host = (parts.hostname or "").lower()
    return f"{'localhost' if host in _LOOPBACK else host}:{parts.port or 6379}/{_database(parts)}"


def _database(parts: Any) -> str:
    return parts.path.strip("/") or "0"


def _prefix(options: Any) -> str:
    return str((options or {}).get("global_keyprefix") or "")


def _content(conf: Any) -> Iterator[CallerMisconfigured]:
    # Celery decodes a stored result by the reader's result_serializer, not by what was stored.
    if conf.result_serializer not in _JSON:
        yield CallerMisconfigured(
            "result_serializer", repr(conf.result_serializer), "use 'json': results arrive as JSON"
        )
    for name in ("accept_content", "result_accept_content"):
        accepted = conf.get(name)
        if accepted is not None and not _JSON & set(accepted):
            yield CallerMisconfigured(
                name, repr(list(accepted)), "add 'json': results and callbacks arrive as JSON"
            )


def _messages(conf: Any) -> Iterator[CallerMisconfigured]:
    if conf.task_always_eager:
        yield CallerMisconfigured(
            "task_always_eager",
            "True",
            "the task runs in the service, not here; switch eager mode off for calls to unhurried",
        )
    if conf.task_protocol != 2:  # noqa: PLR2004 - Celery's own number
        yield CallerMisconfigured(
            "task_protocol", str(conf.task_protocol), "the service reads protocol 2, the default"
        )
    if conf.task_compression:
        yield CallerMisconfigured(
            "task_compression",
            repr(conf.task_compression),
            "the service reads plain JSON: compress your own tasks one by one instead, "
            "@app.task(compression=...)",
        )


def _chords(conf: Any) -> Iterator[CallerMisconfigured]:
    if (conf.broker_transport_options or {}).get("sep", _SEPARATOR) != _SEPARATOR:
        yield CallerMisconfigured(
            "broker_transport_options['sep']",
            "another than kombu's",
            "the service would not find messages that have a priority: remove it",
        )
    options = conf.result_backend_transport_options or {}
    if not options.get("result_chord_ordered", True):
        yield CallerMisconfigured(
            "result_backend_transport_options['result_chord_ordered']",
            "False",
            "the service counts chords in order, Celery's default: remove it",
        )
    name = "result_chord_expires" if conf.get("result_chord_expires") else "result_expires"
    value = conf.get(name)
    lifetime_s = value.total_seconds() if isinstance(value, timedelta) else float(value or 0)
    if 0 < lifetime_s < _LIFETIME_MIN_S:
        yield CallerMisconfigured(
            name,
            f"{lifetime_s:.0f} s",
            "a chord's counters would expire before its parts are admitted: use a day or more",
        )
