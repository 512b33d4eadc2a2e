"""What docs/calling.md tells a receiver of webhooks to write does what it says."""

import base64
import json
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.docs.tree import ROOT, blocks, page
from unhurried.signing import sign

SECRET, OTHER = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
BODY = b'{"type": "job.completed", "timestamp": "2026-11-23T12:00:00Z", "data": {"task_id": "t1"}}'

_RUN_S = 60

#: A task of the receiver's that writes down what it is asked for.
TASKS = """
class refresh_notes:
    asked = []
    delay = asked.append
"""
DJANGO = """
import json, sys
from django.conf import settings
given = json.load(sys.stdin)
settings.configure(
    ROOT_URLCONF="urls", ALLOWED_HOSTS=["testserver"], UNHURRIED_WEBHOOK_SECRETS=given["secrets"]
)
import django
django.setup()
from django.test import Client
client = Client(enforce_csrf_checks=True)
statuses = [
    client.post(
        "/unhurried", given["body"], content_type="application/json", headers=headers
    ).status_code
    for headers in given["headers"]
]
from notes.tasks import refresh_notes
print(json.dumps([statuses, refresh_notes.asked]))
"""
URLS = """
from django.urls import path
from views import unhurried_webhook
urlpatterns = [path("unhurried", unhurried_webhook)]
"""
FLASK = """
import json, sys
from flask import Flask
from views import blueprint
given = json.load(sys.stdin)
app = Flask(__name__)
app.config["WEBHOOK_SECRETS"] = given["secrets"]
app.register_blueprint(blueprint)
client = app.test_client()
statuses = [
    client.post("/unhurried", data=given["body"], headers=headers).status_code
    for headers in given["headers"]
]
from notes.tasks import refresh_notes
print(json.dumps([statuses, refresh_notes.asked]))
"""


def block(holding: str) -> str:
    """The one Python block of the page with this in it."""
    (found,) = (one for one in blocks(page("docs/calling.md"), "python") if holding in one)
    return found


def headers(**changed: Any) -> dict[str, str]:
    """Of a webhook that was signed just now."""
    signing = {"webhook_id": "evt_1", "at": datetime.now(UTC), "secrets": SECRET, **changed}
    return sign(BODY, **signing)


def receive(given: dict[str, str], secrets: Any) -> Any:
    """What the five lines make of a webhook: their answer, or the event."""
    text = block("return 400, refusal.reason")
    inside = textwrap.indent(text, "    ")
    names: dict[str, Any] = {}
    exec(f"def receive(body, headers, secrets):\n{inside}    return event\n", names)  # noqa: S102 - the page's own words
    return names["receive"](BODY, given, secrets)


@pytest.mark.parametrize("secrets", [SECRET, [OTHER, SECRET]])
def test_the_five_lines_take_a_webhook_of_ours(secrets: Any) -> None:
    """
    With one secret, or with several during a rotation.
    """
    event = receive(headers(), secrets)

    assert ("evt_1", "job.completed", {"task_id": "t1"}) == (event.id, event.type, event.data)


def test_the_five_lines_refuse_any_other() -> None:
    """
    Forged, late, or no webhook at all: 400 and a reason.
    """
    late = datetime.now(UTC) - timedelta(hours=1)

    assert (400, "wrong_signature") == receive(headers(secrets=OTHER), SECRET)
    assert (400, "too_old") == receive(headers(at=late), SECRET)
    assert (400, "missing_header") == receive({}, SECRET)


def run(directory: Path, program: str, views: str) -> Any:
    """What an application with the page's view answers to ours, a repetition and a forgery.

    The statuses, and what its task was asked for.
    """
    (directory / "notes").mkdir()
    files = {"notes/tasks.py": TASKS, "views.py": views, "urls.py": URLS, "program.py": program}
    for name, text in files.items():
        (directory / name).write_text(text)
    given = {
        "body": BODY.decode(),
        "secrets": [OTHER, SECRET],
        "headers": [headers(), headers(), headers(secrets="whsec_" + "C" * 32), {}],
    }
    found = subprocess.run(
        [sys.executable, "program.py"],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        input=json.dumps(given),
        text=True,
        capture_output=True,
        timeout=_RUN_S,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


def test_the_django_view_takes_each_webhook_once(tmp_path: Path) -> None:
    """
    Without a CSRF token, with its own guard: a repetition is a receipt and no second task.
    """
    views = block("def unhurried_webhook(request):")

    assert [[204, 204, 400, 400], ["t1"]] == run(tmp_path, DJANGO, views)


def test_the_flask_route_takes_what_is_ours(tmp_path: Path) -> None:
    """
    A repetition asks its task again, which reads the state and does no harm.
    """
    views = block('@blueprint.post("/unhurried")')

    assert [[204, 204, 400, 400], ["t1", "t1"]] == run(tmp_path, FLASK, views)
