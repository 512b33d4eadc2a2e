"""What somebody wrote down, and what was made of it."""

from django.db import models


class Note(models.Model):
    """One note, as it was at `updated_at`."""

    text = models.TextField()
    updated_at = models.DateTimeField(auto_now=True)


class Report(models.Model):
    """A summary of all notes; empty until its batch has ended."""

    ordered_at = models.DateTimeField(auto_now_add=True)
    text = models.TextField(blank=True)
    failed = models.PositiveIntegerField(default=0)
    #: When the oldest of its notes was true: a report's age counts from here.
    as_of = models.DateTimeField(null=True)
    written_at = models.DateTimeField(null=True)
