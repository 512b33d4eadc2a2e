"""The project. Its Celery app is the current one wherever Django is, as Celery's documentation says."""

from django_notes.celery import app as celery_app

__all__ = ["celery_app"]
