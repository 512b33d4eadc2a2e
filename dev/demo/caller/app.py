"""The caller's own Celery app: another code base, another process, the same Redis."""

import os

from celery import Celery

app = Celery("caller", include=["tasks"])
app.conf.update(
    broker_url=os.environ["UNHURRIED_REDIS_URL"],
    result_backend=os.environ["UNHURRIED_REDIS_URL"],
    broker_connection_retry_on_startup=True,
    # A Redis that is silent is noticed within seconds, by Celery's own calls as well.
    broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 5},
    redis_socket_connect_timeout=2,
    redis_socket_timeout=5,
)
