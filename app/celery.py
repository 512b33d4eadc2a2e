"""The Celery app of the service: broker, queues, routes and the beat schedule.

Consumes only queues that it is started with (`-Q`). Its default queue is the callers' own, which it
never consumes, so that callbacks without a queue of their own go home.
"""

import os
import signal
import threading
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from typing import Any, Final

import click
from celery import Celery
from celery.signals import beat_init, setup_logging, worker_shutting_down
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from app.completion import once
from app.completion.backend import backend_url
from app.observe import log
from app.observe.log import tell
from app.settings import Settings, settings
from unhurried.contract import CONTROL_QUEUE

PACK_QUEUE: Final = "unhurried.pack"
COLLECT_QUEUE: Final = "unhurried.collect"
COMPLETE_QUEUE: Final = "unhurried.complete"
NOTIFY_DUE_QUEUE: Final = "unhurried.notify-due"

#: On beat's own wake-ups: that one arrives is how beat is known to be alive.
BEAT_HEADER: Final = "unhurried_beat"

#: By name: a process that runs no tasks need not import what a worker does.
_TASK: Final = "app.observe.quiet_tasks:QuietTask"

#: A wake-up that lies longer than this is dropped: a later one has done its work.
_WAKE_UP_EXPIRES_S: Final = 60

#: Longer than the longest sync call, so that no running one is delivered again.
_VISIBILITY_TIMEOUT_S: Final = 900


def build(config: Settings) -> Celery:
    """The app for these settings. Connects to nothing yet."""
    once.register()
    built = Celery(
        "unhurried",
        include=["tasks.commands", "tasks.direct", "tasks.revoking", "tasks.wake_ups"],
        task_cls=_TASK,
    )
    built.conf.update(_transport(config), **_limits(config))
    built.conf.beat_schedule = _schedule(config)
    # In memory: after a start every wake-up comes within its interval, so there is nothing to keep in a file.
    built.conf.beat_scheduler = "celery.beat:Scheduler"
    return built


def _transport(config: Settings) -> dict[str, Any]:
    prefix = {"global_keyprefix": config.redis_key_prefix} if config.redis_key_prefix else {}
    return {
        # The transport that delivers a canvas's task id once, and that a worker outlives a dead Redis with.
        "broker_read_url": once.broker_url(config.redis_url),
        "broker_write_url": once.broker_url(config.redis_url),
        "result_backend": backend_url(config.redis_url),
        "broker_transport_options": {
            # Private keys: a caller's worker with a short visibility timeout would otherwise restore,
            # and so repeat, what ours is working on.
            "unacked_key": "unhurried.unacked",
            "unacked_index_key": "unhurried.unacked_index",
            "unacked_mutex_key": "unhurried.unacked_mutex",
            "visibility_timeout": _VISIBILITY_TIMEOUT_S,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "priority_steps": list(range(10)),
            "socket_timeout": 30,
            "socket_keepalive": True,
            "health_check_interval": 25,
            **prefix,
        },
        "result_backend_transport_options": {
            "retry_policy": {"max_retries": 100, "interval_max": 5},
            "result_chord_ordered": True,
            **prefix,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_pool_limit": 50,
        "redis_max_connections": 100,
        "redis_socket_timeout": 15,
        "redis_socket_keepalive": True,
        "result_backend_always_retry": True,
        "result_backend_max_retries": 20,
    }


def _limits(config: Settings) -> dict[str, Any]:
    return {
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "result_accept_content": ["json"],
        "task_default_queue": config.home_queue,
        "task_create_missing_queues": True,
        # Early: a direct call that was cut off may have been paid for and is never repeated unasked.
        "task_acks_late": False,
        "task_track_started": False,
        "task_store_errors_even_if_ignored": False,
        "task_publish_retry_policy": {"max_retries": 10, "interval_start": 0, "interval_max": 2},
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": True,
        "worker_hijack_root_logger": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": 30.0,
        # A prompt must not reach a result's metadata, a log line or Flower.
        "result_extended": False,
        "task_repr_maxlevels": 1,
        "result_expires": timedelta(seconds=config.result_lifetime_s),
        "result_chord_expires": timedelta(seconds=config.result_lifetime_s),
        "result_failure_expires": timedelta(seconds=config.result_lifetime_s),
        "result_chord_join_timeout": config.chord_join_timeout_s,
        "timezone": "UTC",
        "enable_utc": True,
    }


def _schedule(config: Settings) -> dict[str, Any]:
    """Beat carries wake-ups only: a second beat, or a late one, changes nothing."""
    entries = {
        "pack": (PACK_QUEUE, config.pack_every_s),
        "collect": (COLLECT_QUEUE, config.collect_every_s),
        "complete": (COMPLETE_QUEUE, config.complete_every_s),
        "notify": (NOTIFY_DUE_QUEUE, config.notify_every_s),
        "webhooks": (NOTIFY_DUE_QUEUE, config.notify_every_s),
        "upkeep": (CONTROL_QUEUE, config.upkeep_every_s),
    }
    return {
        name: {
            "task": f"unhurried.wake.{name}",
            "schedule": every_s,
            "options": {
                "queue": queue,
                "expires": max(every_s, 1.0),
                "ignore_result": True,
                "headers": {BEAT_HEADER: True},
            },
        }
        for name, (queue, every_s) in entries.items()
    }


def drain(within_s: float) -> None:
    """End this process then, whatever it still does: a call may take minutes, and a supervisor kills sooner.

    Nothing is lost by it that a kill would not lose: every outside effect has its intent in the ledger.
    """

    def end() -> None:
        tell("drain_over", warning=True, within_s=within_s)
        os._exit(0)

    timer = threading.Timer(within_s, end)
    timer.daemon = True
    timer.start()


@worker_shutting_down.connect(weak=False)
def _drain_worker(**_: Any) -> None:
    drain(settings().drain_s)


@beat_init.connect(weak=False)
def _end_beat_at_once(**_: Any) -> None:
    """Beat ends where it stands: it holds nothing, and a wake-up that is lost is made up for by the next.

    Celery's own handler raises SystemExit instead; in the middle of a send redis-py swallows it, and beat goes on.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


def wake(built: Celery, name: str, queue: str, *where: str) -> None:
    """Ask for a look now, at something by its name. Losing it costs the time until beat's next one.

    So it raises nothing where Redis is away, or full: who asks has done its work, and goes on to the next.
    """
    with suppress(OperationalError, RedisError, OSError):
        built.send_task(
            f"unhurried.wake.{name}",
            args=where,
            queue=queue,
            expires=_WAKE_UP_EXPIRES_S,
            ignore_result=True,
        )


def wake_all(built: Celery) -> None:
    """Ask everybody for a look now who may have something to do after a person's decision."""
    for name, queue in (
        ("pack", PACK_QUEUE),
        ("collect", COLLECT_QUEUE),
        ("complete", COMPLETE_QUEUE),
        ("notify", NOTIFY_DUE_QUEUE),
        ("webhooks", NOTIFY_DUE_QUEUE),
    ):
        wake(built, name, queue)


def _keep_lines(**_: Any) -> None:
    """Celery asks who sets logging up: its own lines go through our handler as well."""


log.configure(settings().log_level, settings().log_format)
if settings().log_format == "json":
    setup_logging.connect(_keep_lines, weak=False)
app = build(settings())

_click = click.get_current_context(silent=True)
if _click is not None and _click.invoked_subcommand == "flower":
    # By its name: Flower's part is above this floor, and nobody else needs it in memory.
    import_module("app.flower").install()
