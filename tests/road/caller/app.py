"""A caller's own Celery app, with a default queue of its own name."""

import os

from celery import Celery

app = Celery("caller", include=["tasks"])
app.conf.update(
    broker_url=os.environ["UNHURRIED_REDIS_URL"],
    result_backend=os.environ["UNHURRIED_REDIS_URL"],
    broker_connection_retry_on_startup=True,
    task_default_queue=os.environ["CALLER_QUEUE"],
)
