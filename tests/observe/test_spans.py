"""Spans of calls and batches, as an exporter gets them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from app.observe.spans import Spans
from app.policy.tracing import Span, batch_ids

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ENDED = BEGAN + timedelta(hours=6)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


def spans() -> tuple[Spans, InMemorySpanExporter]:
    """Spans, and where they go."""
    exporter = InMemorySpanExporter()
    return Spans(SimpleSpanProcessor(exporter)), exporter


def test_a_call_of_hours_is_told_when_it_is_over() -> None:
    """
    With its own times, in its caller's trace, linked to its batch.
    """
    ours, exporter = spans()
    submission = uuid4()
    ours.calls(
        [Span(name="chat m", began_at=BEGAN, ended_at=ENDED, trace=PARENT, batch=submission)]
    )
    (told,) = exporter.get_finished_spans()

    assert told.start_time is not None
    assert told.end_time is not None
    assert 6 * 3600 * 10**9 == told.end_time - told.start_time
    assert told.context is not None
    assert told.parent is not None
    assert (int(TRACE, 16), 0x00F067AA0BA902B7) == (told.context.trace_id, told.parent.span_id)
    (link,) = told.links
    assert batch_ids(submission) == (link.context.trace_id, link.context.span_id)


def test_a_batch_has_the_ids_that_its_calls_link_to() -> None:
    """
    However often it is told, and whatever calls are told between.
    """
    ours, exporter = spans()
    submission = uuid4()
    batch = Span(name="batch chat m", began_at=BEGAN, ended_at=ENDED, batch=submission)
    call = Span(name="chat m", began_at=BEGAN, ended_at=ENDED)
    ours.batch(batch)
    ours.calls([call, call])
    ours.batch(batch)
    told = [span for span in exporter.get_finished_spans() if span.name.startswith("batch")]

    assert [batch_ids(submission)] * 2 == [
        (span.context.trace_id, span.context.span_id) for span in told if span.context is not None
    ]
    assert [(), ()] == [tuple(span.links) for span in told]


def test_a_failure_is_an_error_without_words() -> None:
    """
    Its code is there; an end before the beginning is none.
    """
    ours, exporter = spans()
    ours.calls([Span(name="chat m", began_at=ENDED, ended_at=BEGAN, error="refused")])
    (told,) = exporter.get_finished_spans()

    assert (StatusCode.ERROR, None) == (told.status.status_code, told.status.description)
    assert told.attributes is not None
    assert "refused" == told.attributes["error.type"]
    assert told.start_time == told.end_time
