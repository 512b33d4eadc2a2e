"""The project's Celery app: settings from Django's, tasks from the installed apps."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_notes.settings")

app = Celery("django_notes")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
