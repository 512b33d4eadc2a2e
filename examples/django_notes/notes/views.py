"""One page that takes notes and orders a report, one that shows it with its age."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from notes.models import Note, Report
from notes.tasks import order_report


@require_http_methods(["GET", "POST"])
def notes(request: HttpRequest) -> HttpResponse:
    """Show the notes; add one, or start a batch run over all of them."""
    if "text" in request.POST:
        Note.objects.create(text=request.POST["text"])
        return redirect("notes")
    if request.method == "POST":
        return redirect("report", _ordered().pk)
    return render(request, "notes/notes.html", {"notes": Note.objects.order_by("pk")})


@require_GET
def report(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what there is of a report, and how old it is."""
    found = get_object_or_404(Report, pk=pk)
    age = timezone.now() - found.as_of if found.as_of else None
    return render(request, "notes/report.html", {"report": found, "age": age})


def _ordered() -> Report:
    # After the commit, so that no worker looks for a row that is not there yet or never will be.
    with transaction.atomic():
        ordered = Report.objects.create()
        order_report.delay_on_commit(ordered.pk)
    return ordered
