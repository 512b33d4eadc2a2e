"""What lies in Redis after a call, and the service's part of its end, played by the test."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import redis
from celery import Celery
from celery.app.task import Context
from celery.exceptions import TaskRevokedError


@dataclass(frozen=True, slots=True)
class Sent:
    """One published message, taken apart."""

    raw: str
    headers: dict[str, Any]
    properties: dict[str, Any]
    args: list[Any]
    kwargs: dict[str, Any]
    embed: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.headers["id"])

    @property
    def outside_the_body(self) -> str:
        """Everything that logs, events and Flower can see."""
        return json.dumps({**json.loads(self.raw), "body": ""})


def sent(client: redis.Redis, queue: str) -> list[Sent]:
    """The messages of a queue, the first published first."""
    lying: Any = client.lrange(queue, 0, -1)
    return [_taken_apart(raw) for raw in reversed(lying)]


def finish(app: Celery, message: Sent, value: Any) -> None:
    """Complete a message's task with a value, or fail it with an exception, as its worker would."""
    context: Any = Context(
        {**message.headers, **message.embed},
        args=message.args,
        kwargs=message.kwargs,
        delivery_info={"is_eager": False},
    )
    backend: Any = app.backend
    if isinstance(value, TaskRevokedError):
        backend.mark_as_revoked(message.id, str(value), request=context)
    elif isinstance(value, Exception):
        backend.mark_as_failure(message.id, value, request=context)
    else:
        backend.mark_as_done(message.id, value, request=context)


def _taken_apart(raw: bytes) -> Sent:
    envelope = json.loads(raw)
    args, kwargs, embed = json.loads(base64.b64decode(envelope["body"]))
    return Sent(
        raw.decode(), envelope["headers"], envelope["properties"], list(args), kwargs, embed
    )
