"""For the worker: `celery -A make_celery worker`."""

from app import create_app

app = create_app().extensions["celery"]
