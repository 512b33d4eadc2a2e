"""What the service keeps in Redis for readers, beside Celery's own results."""

from celery import Celery

from unhurried.binding import key_prefix, redis_answers, redis_of
from unhurried.contract import output_key
from unhurried.errors import UnknownJob
from unhurried.readers import latest_key

_LATER = "read it later"


def output(app: Celery, result_id: str) -> str:
    """An output too long to travel inside its result. Raises UnknownJob where Redis lost it."""
    with redis_answers(_LATER):
        found: bytes | None = redis_of(app).get(key_prefix(app) + output_key(result_id))
    if found is None:
        raise UnknownJob(result_id)
    return found.decode()


def latest(app: Celery, *, tenant: str, workload: str, subject: str | None) -> str | None:
    """The task whose result is the newest answer of a workload about a subject; None if none is known."""
    key = key_prefix(app) + latest_key(tenant=tenant, workload=workload, subject=subject)
    with redis_answers(_LATER):
        found: bytes | None = redis_of(app).hget(key, "task_id")
    return found.decode() if found is not None else None
