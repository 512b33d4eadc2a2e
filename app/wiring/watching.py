"""Those who watch: Flower, told by events, and traces."""

import sys
from functools import cache
from typing import TYPE_CHECKING

from celery import Celery

from app.observe.task_events import TaskEvents
from app.settings import settings

if TYPE_CHECKING:
    from app.observe.spans import Spans


def task_events(
    app: Celery, hostname: str, *, waiting_max: int, beats: bool = False
) -> TaskEvents | None:
    """Sends events as that worker, from now on; None where the settings want none."""
    per_s = settings().task_events_per_s
    if not per_s:
        return None
    return TaskEvents(
        app=app, hostname=hostname, per_s=per_s, waiting_max=waiting_max, beats=beats
    ).start()


@cache
def spans() -> "Spans | None":
    """Tells of calls and batches as spans; None where the settings want none.

    Raises ModuleNotFoundError where what `UNHURRIED_TRACES` asks for is not installed.
    """
    wanted = settings().traces
    if wanted == "off":
        return None
    # An optional extra: nothing of it is imported where nobody asks for it.
    from opentelemetry.sdk.trace.export import (  # noqa: PLC0415
        BatchSpanProcessor,
        ConsoleSpanExporter,
        SpanExporter,
    )

    from app.observe.spans import Spans  # noqa: PLC0415

    exporter: SpanExporter
    if wanted == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        exporter = OTLPSpanExporter()
    else:
        # Celery's workers take sys.stdout for a log.
        exporter = ConsoleSpanExporter(
            out=sys.__stdout__ or sys.stdout,
            formatter=lambda span: span.to_json(indent=None) + "\n",
        )
    return Spans(BatchSpanProcessor(exporter))
