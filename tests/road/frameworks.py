"""The examples as callers: a Django project and a Flask application, each with worker and pages."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from typing import Final
from urllib.parse import urlencode

from dev.processes import Process, poll_until
from dev.servers import free_port
from dev.stack import ROOT, Stack
from tests.road.callers import STEPS, Caller

_EXAMPLES: Final = ROOT / "examples"
_PAGES_S: Final = 60
_MIGRATED_S: Final = 60
_ANSWERED_S: Final = 30


def django_notes(stack: Stack) -> Caller:
    """The project, its own database migrated, its worker running."""
    caller = Caller(
        stack,
        stack.directory / "django.jsonl",
        directory=_EXAMPLES / "django_notes",
        app="django_notes",
        queue="notes",
        settings={
            "NOTES_DATABASE": str(stack.directory / "notes.sqlite3"),
            "CALLER_SHAPES": "matrix.django_shapes",
        },
    )
    migrating = caller.start("django_migrate", "manage.py", "migrate")
    assert 0 == migrating.wait(within_s=_MIGRATED_S), migrating.tail()
    caller.worker(include=STEPS)
    return caller


def flask_digest(stack: Stack) -> Caller:
    """The application, its worker running."""
    caller = Caller(
        stack,
        stack.directory / "flask.jsonl",
        directory=_EXAMPLES / "flask_digest",
        app="make_celery",
        queue="digest",
        settings={
            "DIGEST_FILED": str(stack.directory / "filed.txt"),
            "CALLER_SHAPES": "matrix.flask_shapes",
        },
    )
    caller.worker(include=f"{STEPS},matrix.flask_shapes")
    return caller


@dataclass(frozen=True)
class Page:
    """What a browser shows."""

    status: int
    url: str
    text: str


class Browser:
    """Gets pages and sends forms, with cookies and redirects."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self._cookies)
        )

    def get(self, path: str) -> Page:
        """A page by its path, or by the whole URL of one that was shown."""
        return self._open(path, None)

    def post(self, path: str, **form: str) -> Page:
        """The page that a form leads to."""
        tokens = [str(one.value) for one in self._cookies if one.name == "csrftoken"]
        hidden = {"csrfmiddlewaretoken": tokens[0]} if tokens else {}
        return self._open(path, urlencode(hidden | form).encode())

    def _open(self, path: str, body: bytes | None) -> Page:
        url = path if path.startswith(self.url) else self.url + path
        try:
            with self._opener.open(url, body, timeout=_ANSWERED_S) as reply:
                return Page(reply.status, reply.url, reply.read().decode())
        except urllib.error.HTTPError as error:
            return Page(error.code, error.url or url, error.read().decode())


@contextmanager
def served(caller: Caller, name: str, *command: str) -> Iterator[Browser]:
    """The framework's own server on a free port, which ends `command`."""
    port = str(free_port())
    process = caller.start(name, *(word.replace("PORT", port) for word in command))
    browser = Browser(f"http://127.0.0.1:{port}")
    try:
        answers = poll_until(lambda: _answers(process, browser), within_s=_PAGES_S)
        assert answers, process.tail()
        yield browser
    finally:
        process.terminate()


def _answers(process: Process, browser: Browser) -> bool:
    process.require_alive()
    try:
        return browser.get("/").status < 500
    except urllib.error.URLError:
        return False
