"""The signature of a task that tells somebody of what came before it."""

from typing import Any

from celery import Signature

from unhurried.binding import bound_app
from unhurried.contract import NOTIFY_QUEUE
from unhurried.publishing import canvas_headers, stub


def notification(name: str, wire: dict[str, Any], *, summary: str) -> "Signature[Any]":
    """A signature of the task `name`; `summary` is all that logs and Flower show of it."""
    app = bound_app()
    stub(app, name)
    return app.signature(
        name,
        kwargs=wire,
        options={
            "queue": NOTIFY_QUEUE,
            "serializer": "json",
            "ignore_result": False,
            "argsrepr": summary,
            "kwargsrepr": "{}",
            "headers": canvas_headers(app),
        },
    )
