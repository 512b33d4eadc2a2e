"""A read by somebody who says how old a result may be."""

from datetime import timedelta

from celery import Celery

from unhurried import asking, consumers, pick_ups, stored
from unhurried.binding import bound_app
from unhurried.errors import NotReady, ServiceUnavailable, UnknownJob
from unhurried.jobs import Job
from unhurried.readers import Declaration, Reply
from unhurried.results import Result
from unhurried.spans import seconds


class Reader:
    """How old a result may be, in the reader's own words or as its consumer declares it."""

    def __init__(
        self, how: str, max_staleness: float | timedelta | str | None, consumer: str | None
    ) -> None:
        """Raises TypeError where neither is said, CallError for an undeclared consumer, ValueError."""
        self._consumer: Declaration | None = None
        if consumer is not None:
            self._consumer = consumers.declared(consumer)
        if max_staleness is not None:
            self._tolerated = timedelta(seconds=seconds(max_staleness))
        elif self._consumer is not None:
            self._tolerated = timedelta(seconds=self._consumer.max_staleness_s)
        else:
            raise TypeError(
                f"{how}() needs max_staleness= or consumer=: how old may the result be?"
            )

    def read(self, job: Job) -> Result:
        """The job's result, fresh enough; recorded as picked up. Raises as `Job.result`, and StaleResult."""
        found = job.peek()
        if found.ok:
            found.require_fresh(self._tolerated)
        pick_ups.record(bound_app(), [found], consumer=self._consumer)
        return found


def newest(app: Celery, *, tenant: str, workload: str, subject: str | None) -> str:
    """The task whose result is the newest answer. Raises NotReady, UnknownJob or ServiceUnavailable."""
    task_id = stored.latest(app, tenant=tenant, workload=workload, subject=subject)
    if task_id is not None:
        return task_id
    reply = asking.newest(app, tenant=tenant, workload=workload, subject=subject)
    about = f"{workload} about {subject}" if subject is not None else workload
    if reply is Reply.RESTORED:
        task_id = stored.latest(app, tenant=tenant, workload=workload, subject=subject)
    if task_id is not None:
        return task_id
    if reply is Reply.WAITING:
        raise NotReady(about, "waiting")
    if reply is Reply.UNKNOWN:
        raise UnknownJob(about)
    raise ServiceUnavailable(
        f"Redis knows no answer of {about}, and the service did not say whether it does; ask again"
    )
