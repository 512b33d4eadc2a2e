"""A caller's own Celery app."""

import os

from celery import Celery

app = Celery("caller", include=["tasks"])
app.conf.update(
    broker_url=os.environ["UNHURRIED_REDIS_URL"],
    result_backend=os.environ["UNHURRIED_REDIS_URL"],
    broker_connection_retry_on_startup=True,
)
