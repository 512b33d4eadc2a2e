"""A caller's process that publishes with one unusual configuration after the other."""

import json
import os
from typing import Any

from celery import Celery, chord
from kombu import Queue

from unhurried import CallerMisconfigured, messages

URL = os.environ["UNHURRIED_REDIS_URL"]
PREFIX = {"global_keyprefix": "mine:"}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "pickle for its own tasks": {
        "task_serializer": "pickle",
        "accept_content": ["json", "pickle"],
        "result_accept_content": ["json"],
    },
    "task_ignore_result": {"task_ignore_result": True},
    "declared queues alone": {
        "task_create_missing_queues": False,
        "task_queues": [Queue("odd")],
        "task_default_queue": "odd",
    },
    "routes for everything": {"task_routes": {"*": {"queue": "odd"}}},
    "a priority for everything": {
        "task_default_priority": 6,
        "broker_transport_options": {"priority_steps": list(range(10))},
    },
    "results for an hour": {"result_expires": 3600},
    "compressed results": {"result_compression": "gzip"},
    "local time": {"enable_utc": False, "timezone": "Asia/Tokyo"},
    "extended results": {"result_extended": True},
    "no second try": {"task_publish_retry": False},
    "another database": {
        "broker_url": URL.rpartition("/")[0] + "/7",
        "result_backend": URL.rpartition("/")[0] + "/7",
    },
    "another prefix": {
        "broker_transport_options": PREFIX,
        "result_backend_transport_options": PREFIX,
    },
}


def ask(name: str) -> Any:
    """One signature."""
    turns = [{"role": "user", "content": f"Say something about {name}. It is set so."}]
    return messages.s(model="claude-haiku-4-5", max_tokens=100, messages=turns, tier="batch")


def published(name: str) -> Any:
    """A chord of ours with a body of ours, through an app configured so; or what refused it."""
    app = Celery("odd", broker=URL, backend=URL)
    app.conf.update(CONFIGURATIONS[name])
    app.set_current()
    body = messages.s(model="claude-haiku-4-5", max_tokens=100, tier="batch")
    try:
        return chord([ask(name).set(countdown=0.1), ask(name)])(body)
    except CallerMisconfigured as refused:
        return refused


def told(found: Any) -> str:
    """How it ended."""
    if isinstance(found, CallerMisconfigured):
        return f"{found.setting} is {found.found}"
    return str(found.get(timeout=90)["outcome"])


def main() -> None:
    """Publish with all, then wait for all."""
    waiting = {name: published(name) for name in CONFIGURATIONS}
    print(json.dumps({name: told(found) for name, found in waiting.items()}))


if __name__ == "__main__":
    main()
