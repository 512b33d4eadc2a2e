"""Tell those who watch how tickets ended: Flower by an event each, traces by a span each.

Nothing of it is what anybody said.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.ledger.tickets import ReadyTicket
from app.observe.quiet import described
from app.observe.task_events import Told
from app.policy import task_events, tracing
from app.policy.ends import End, Failure, Revoked, Value
from app.policy.task_events import About, TaskEvent
from app.policy.tracing import Span
from unhurried.errors import failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A ticket that Celery has been told of."""

    ticket: ReadyTicket
    end: End


class FlowerTelling:
    """Sends an event for each ticket that is completed for the first time."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def __call__(self, ended: Sequence[Ended]) -> None:
        """Tell of these. Returns at once."""
        self._told([_event(one) for one in ended if one.ticket.generation == 1])


class SpanTelling:
    """Makes a span for each job's ticket that is completed for the first time."""

    def __init__(self, told: Callable[[Sequence[Span]], None]) -> None:
        self._told = told

    def __call__(self, ended: Sequence[Ended]) -> None:
        """Tell of these. Returns at once."""
        first = [one for one in ended if one.ticket.generation == 1]
        self._told([span for one in first if (span := _span(one)) is not None])


def _span(one: Ended) -> Span | None:
    ticket, job, course = one.ticket, one.ticket.job, one.ticket.course
    if job is None or course is None:
        return None
    ended_at = ticket.ready_at or datetime.now(UTC)
    return tracing.of_job(
        job,
        task_id=ticket.task_id,
        provider=course.provider,
        began_at=course.published_at or ticket.admitted_at or ended_at,
        ended_at=ended_at,
        trace=tracing.carried(json.loads(ticket.headers)),
        batch=course.submission_id,
    )


def _event(one: Ended) -> TaskEvent:
    ticket = one.ticket
    ended_at = ticket.ready_at or datetime.now(UTC)
    course, job = ticket.course, ticket.job
    about = About(
        task_id=ticket.task_id,
        task_name=ticket.task_name,
        headers=json.loads(ticket.headers),
        published_at=course.published_at if course is not None else None,
        admitted_at=ticket.admitted_at or ended_at,
        summary=task_events.NO_ARGUMENTS
        if job is None
        else task_events.summary(
            endpoint=job.endpoint, tier=job.tier, model=job.model, workload=job.workload
        ),
    )
    match one.end:
        case Value():
            return task_events.succeeded(about, ended_at=ended_at, result=_result(one))
        case Failure(error):
            return task_events.failed(about, ended_at=ended_at, error=described(failure(error)))
        case Revoked():
            return task_events.revoked(about)


def _result(one: Ended) -> str:
    """Which kind of value it is, and which batch it came in."""
    assert isinstance(one.end, Value), "only a value is a result"
    error = one.end.wire.get("error")
    said = f"error {error['code']}" if error else str(one.end.wire.get("outcome") or "done")
    course = one.ticket.course
    batch = course.provider_batch_id if course is not None else None
    return f"<{said} in {batch}>" if batch else f"<{said}>"
