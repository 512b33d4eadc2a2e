"""A real Celery worker whose tasks return what a ticket's end says: the model that completion mirrors."""

import os
from typing import Any

from celery import Celery

from unhurried.errors import failure

app = Celery("golden", broker=os.environ["GOLDEN_REDIS"], backend=os.environ["GOLDEN_REDIS"])
app.conf.update(broker_connection_retry_on_startup=True, task_default_queue="celery")


@app.task(name="unhurried.messages.v1", typing=False)
def messages(*_args: Any, **kwargs: Any) -> Any:
    """Return or raise what the request carries along."""
    end = kwargs["end"]
    if "error" in end:
        raise failure(end["error"])
    return end
