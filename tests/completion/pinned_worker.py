"""A worker of direct calls that answers what its messages say: the service's requests, transport and backend."""

import os
from typing import Any

from celery import Celery

from app.completion import once, pinned_requests
from app.completion.backend import backend_url
from app.observe.quiet_tasks import QuietTask
from unhurried.errors import failure

_URL = os.environ["PINNED_REDIS"]

once.register()
app = Celery("pinned", broker=_URL, backend=backend_url(_URL), task_cls=QuietTask)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_write_url=once.broker_url(_URL),
    task_default_queue="celery",
)


class _Answering(QuietTask):
    abstract = True
    Request = pinned_requests.NAME


@app.task(name="unhurried.messages.v1", base=_Answering, bind=True, typing=False)
def messages(self: Any, *_args: Any, **kwargs: Any) -> Any:
    """Return or raise what the request carries along, at once or when it is tried again."""
    if self.request.retries < kwargs.get("retries", 0):
        raise self.retry(countdown=0)
    end = kwargs["end"]
    if "error" in end:
        raise failure(end["error"])
    return end
