"""The digest's web application: order one, and read it with its age."""

import hashlib
import os
from datetime import timedelta
from typing import Any

from celery import Celery, Task
from flask import Flask, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from tasks import file_away
from unhurried import JobFailed, NotReady, StaleResult, UnknownJob, messages

MODEL = "claude-haiku-4-5"
REDIS_URL = os.environ.get("UNHURRIED_REDIS_URL", "redis://127.0.0.1:6379/0")


def create_app() -> Flask:
    """The application, its Celery app beside it."""
    app = Flask(__name__)
    app.config.from_mapping(
        CELERY={
            "broker_url": REDIS_URL,
            "result_backend": REDIS_URL,
            "task_ignore_result": True,
            "broker_connection_retry_on_startup": True,
            # A Redis that is silent is noticed within seconds, by Celery's own calls as well.
            "broker_transport_options": {"socket_connect_timeout": 2, "socket_timeout": 5},
            "redis_socket_connect_timeout": 2,
            "redis_socket_timeout": 5,
            # Its own, since other applications share this Redis.
            "task_default_queue": "digest",
        },
        FILED=os.environ.get("DIGEST_FILED", "filed.txt"),
        DIGEST_MAX_STALENESS=os.environ.get("DIGEST_MAX_STALENESS", "1d"),
    )
    app.config.from_prefixed_env()
    celery_init_app(app)
    app.add_url_rule("/", view_func=front)
    app.add_url_rule("/digests", view_func=order, methods=["POST"])
    app.add_url_rule("/digests/<job_id>", view_func=digest)
    return app


def celery_init_app(app: Flask) -> Celery:
    """Celery as Flask's documentation sets it up: tasks run inside the application's context."""

    class FlaskTask(Task):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app


def front() -> str:
    """Where stories go in."""
    return render_template("front.html")


def order() -> Response:
    """Start a batch run over the stories, and go to the page where its digest will be."""
    stories = request.form["stories"]
    job = messages.apply_async(
        kwargs={
            "model": MODEL,
            "max_tokens": 300,
            "messages": [{"role": "user", "content": f"Write a digest of:\n\n{stories}"}],
            "tier": "batch",
            # A form that is sent twice is asked once.
            "idempotency_key": f"digest:{hashlib.sha256(stories.encode()).hexdigest()}",
        },
        link=file_away.s(),
    )
    return redirect(url_for("digest", job_id=job.id))


def digest(job_id: str) -> tuple[str, int]:
    """The digest, if it is there and not too old."""
    try:
        result = messages.read(job_id, max_staleness=current_app.config["DIGEST_MAX_STALENESS"])
    except NotReady as waiting:
        return render_template("digest.html", state=waiting.state), 202
    except StaleResult as stale:
        return render_template("digest.html", stale=timedelta(seconds=stale.age_s)), 410
    except UnknownJob:
        return render_template("digest.html"), 404
    except JobFailed as failed:
        return render_template("digest.html", failed=failed), 200
    return render_template("digest.html", result=result, age=result.age()), 200
