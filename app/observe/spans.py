"""Spans of calls and batches, made when they are over: none is held open for hours, none is lost by a restart.

They go to a provider of our own, never to the process's global one: libraries that trace by themselves would
put prompts into it.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.policy.tracing import Span, batch_ids

_NAME: Final = "unhurried"
_PROPAGATOR: Final = TraceContextTextMapPropagator()


class _NamedIds(RandomIdGenerator):
    """Gives the ids that it was told to give: a batch's follow from its submission."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = (0, 0)

    @contextmanager
    def named(self, ids: tuple[int, int]) -> Iterator[None]:
        with self._lock:
            self._next = ids
            yield

    def generate_trace_id(self) -> int:
        return self._next[0]

    def generate_span_id(self) -> int:
        return self._next[1]


class Spans:
    """Hands finished spans to a processor, which sends them when it likes."""

    def __init__(self, processor: SpanProcessor) -> None:
        resource = Resource.create({"service.name": _NAME})
        self._ids = _NamedIds()
        self._provider = TracerProvider(resource=resource)
        self._batches = TracerProvider(resource=resource, id_generator=self._ids)
        for provider in (self._provider, self._batches):
            provider.add_span_processor(processor)

    def calls(self, spans: Sequence[Span]) -> None:
        """Tell of calls, each in its caller's trace and linked to its batch. Returns at once."""
        tracer = self._provider.get_tracer(_NAME)
        for span in spans:
            links = [] if span.batch is None else [_link(span.batch)]
            _told(tracer, span, links)

    def batch(self, span: Span) -> None:
        """Tell of a batch, under the ids that its calls link to. Told twice, it is the same span."""
        assert span.batch is not None, "a batch has a submission"
        with self._ids.named(batch_ids(span.batch)):
            _told(self._batches.get_tracer(_NAME), span, [])


def _told(tracer: Any, span: Span, links: Sequence[Link]) -> None:
    made = tracer.start_span(
        span.name,
        context=_PROPAGATOR.extract(dict(span.trace)) if span.trace else None,
        kind=SpanKind.CLIENT,
        attributes=dict(span.attributes),
        links=links,
        start_time=_ns(span.began_at),
    )
    if span.error is not None:
        made.set_attribute("error.type", span.error)
        made.set_status(Status(StatusCode.ERROR))
    made.end(_ns(max(span.began_at, span.ended_at)))


def _link(submission_id: UUID) -> Link:
    trace, span = batch_ids(submission_id)
    return Link(
        SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    )


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
