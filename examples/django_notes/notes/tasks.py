"""What runs in this project's own worker: ordering a report, and writing it down hours later."""

from typing import Any

from celery import chord, shared_task
from django.utils import timezone

from notes.models import Note, Report
from unhurried import Result, messages

MODEL = "claude-haiku-4-5"


def ask(note: Note) -> dict[str, Any]:
    """What would go to `client.messages.create`."""
    turns = [{"role": "user", "content": f"Summarise in one sentence:\n\n{note.text}"}]
    return {"model": MODEL, "max_tokens": 200, "messages": turns}


@shared_task
def order_report(report_id: int) -> None:
    """Ask for every note at half price. Safe to repeat: a note as it was then is one job."""
    summaries = [
        messages.s(
            **ask(note),
            tier="batch",
            as_of=note.updated_at,
            subject=f"note:{note.pk}",
            idempotency_key=f"note:{note.pk}:{note.updated_at.isoformat()}",
            on_failure="return",
        )
        for note in Note.objects.order_by("pk")
    ]
    chord(summaries)(write_report.s(report_id))


@shared_task
def write_report(values: list[dict[str, Any]], report_id: int) -> None:
    """The chord's body: runs once, when every note has been answered or given up."""
    results = [Result.parse(value) for value in values]
    answered = [result for result in results if result.ok]
    Report.objects.filter(pk=report_id).update(
        text="\n".join(result.output for result in answered),
        failed=len(results) - len(answered),
        as_of=min((result.as_of for result in answered if result.as_of), default=None),
        written_at=timezone.now(),
    )
