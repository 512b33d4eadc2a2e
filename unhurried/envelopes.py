"""Celery messages as they lie in Redis, made without a round trip each: for publishing many."""

from typing import Any, Final

from celery import Celery
from kombu.utils.json import dumps

from unhurried.publishing import message_headers

#: Redis keeps what it is told to keep; kombu says so in every message.
_PERSISTENT: Final = 2


class Envelopes:
    """Makes messages of one task for one queue, each as its `apply_async` would have sent it.

    Celery's signals of publishing are not sent. The headers name the call site of whoever made this, so
    it is for one call of `bulk` alone.
    """

    def __init__(self, app: Celery, *, task_name: str, queue: str, root_id: str) -> None:
        self._amqp: Any = app.amqp
        self._task_name = task_name
        self._queue = queue
        self._root_id = root_id
        self._headers = message_headers(app)

    def message(self, channel: Any, task_id: str, kwargs: dict[str, Any], *, summary: str) -> str:
        """One message as text; `channel` is kombu's, whose format it is."""
        made = self._amqp.create_task_message(
            task_id,
            self._task_name,
            args=(),
            kwargs=kwargs,
            root_id=self._root_id,
            ignore_result=False,
            argsrepr=summary,
            kwargsrepr="{}",
        )
        envelope = channel.prepare_message(
            dumps(made.body),
            content_type="application/json",
            content_encoding="utf-8",
            headers={**made.headers, **self._headers},
            properties={**made.properties, "delivery_mode": _PERSISTENT},
        )
        channel._inplace_augment_message(envelope, "", self._queue)  # noqa: SLF001 - as kombu's own publish
        text: str = dumps(envelope)
        return text
