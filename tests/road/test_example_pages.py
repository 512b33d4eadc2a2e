"""The examples' pages, served by their frameworks: one starts a batch run, one shows its result and age."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.road.callers import Caller
from tests.road.frameworks import Browser, Page, served
from tests.support.waiting import wait_until

_ANSWERED_S = 60


@pytest.fixture
def notes(django_caller: Caller) -> Iterator[Browser]:
    """`manage.py runserver`."""
    command = "manage.py runserver 127.0.0.1:PORT --noreload".split()
    with served(django_caller, "django_pages", *command) as browser:
        yield browser


@pytest.fixture
def digests(flask_caller: Caller) -> Iterator[Browser]:
    """`flask run`."""
    command = "-m flask --app app run --no-reload --port PORT".split()
    with served(flask_caller, "flask_pages", *command) as browser:
        yield browser


def shown(browser: Browser, page: Page) -> Page:
    """The page once it shows a result."""

    def now() -> Page | None:
        found = browser.get(page.url)
        return None if "come back later" in found.text else found

    return wait_until(now, within_s=_ANSWERED_S, what="the result on its page")


def age_s(page: Page) -> int:
    """The age that a page tells."""
    told = re.search(r"of (\d+) seconds ago", page.text)
    assert told, page.text
    return int(told[1])


def test_a_django_page_orders_a_report_and_another_shows_it_with_its_age(notes: Browser) -> None:
    """
    Two notes are written down, summarised in one batch run by the project's own worker, and shown.
    """
    notes.get("/")
    notes.post("/", text="Lighthouses warn ships. They stand on rocks.")
    listed = notes.post("/", text="Bakers rise early. Bread takes time.")
    assert "Bakers rise early" in listed.text

    ordered = notes.post("/")
    assert "/reports/" in ordered.url
    report = shown(notes, ordered)

    assert "lighthouses" in report.text.lower()
    assert "bakers" in report.text.lower()
    assert "could not be done" not in report.text
    assert 0 <= age_s(report) < _ANSWERED_S


def test_a_django_report_says_what_could_not_be_done(notes: Browser) -> None:
    """
    A note that the provider refuses costs the report that note alone.
    """
    notes.get("/")
    notes.post("/", text="Harbours shelter boats.")
    notes.post("/", text="[[sim:invalid]]")

    report = shown(notes, notes.post("/"))

    assert "harbours" in report.text.lower()
    assert "1 could not be done." in report.text


def test_a_flask_page_orders_a_digest_and_another_shows_it_with_its_age(
    digests: Browser, flask_caller: Caller
) -> None:
    """
    The digest is read straight from the service, and filed away by the application's own worker.
    """
    stories = "Glaciers shrink. Rivers swell. Valleys flood."
    ordered = digests.post("/digests", stories=stories)
    again = digests.post("/digests", stories=stories)
    digest = shown(digests, ordered)

    assert (200, True) == (digest.status, "glaciers" in digest.text.lower())
    assert 0 <= age_s(digest) < _ANSWERED_S
    assert shown(digests, again).status == 200
    filed = Path(flask_caller.settings["DIGEST_FILED"])
    wait_until(
        lambda: filed.exists() and filed.read_text("utf-8").lower().count("glaciers") >= 2,
        within_s=_ANSWERED_S,
        what="both tasks of the one job filed away",
    )


def test_a_flask_page_says_what_went_wrong(digests: Browser) -> None:
    """
    A digest that the provider refuses, and one that nobody ordered.
    """
    failed = shown(digests, digests.post("/digests", stories="[[sim:invalid]]"))

    assert "It could not be done" in failed.text
    assert 404 == digests.get("/digests/never-ordered").status
