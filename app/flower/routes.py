"""Where our pages are, and the link to them: added to the lists from which Flower builds itself."""

from typing import Any, Final

from flower import urls
from tornado.web import StaticFileHandler, url

from app.flower.actions import Act
from app.flower.batch import BatchPage
from app.flower.batches import BatchesPage
from app.flower.health import Live, Ready
from app.flower.job import JobPage, RunPage
from app.flower.navigation import with_link
from app.flower.page import HERE
from app.flower.results import ResultsPage

#: Flower's own last route, which answers 404 to everything.
_CATCH_ALL: Final = ".*"


def add() -> None:
    """Add routes and link. Call it once, before Flower is built."""
    # As url() objects: Flower drops the arguments of plain tuples where it has a prefix.
    urls.handlers[_last() : _last()] = [
        url(r"/batches", BatchesPage, name="batches"),
        url(
            r"/batches/static/(.*)",
            StaticFileHandler,
            {"path": str(HERE / "static")},
            name="batches-static",
        ),
        url(r"/batches/health/live", Live),
        url(r"/batches/health/ready", Ready),
        url(r"/batches/act", Act, name="batches-act"),
        url(r"/batches/([^/]+)", BatchPage, name="batch"),
        url(r"/jobs/(.+)", JobPage, name="job"),
        url(r"/runs/([^/]+)", RunPage, name="run"),
        url(r"/results", ResultsPage, name="results"),
    ]
    modules = urls.settings.setdefault("ui_modules", {})
    modules["Template"] = with_link(modules.get("Template"))


def _last() -> int:
    places = (place for place, one in enumerate(urls.handlers) if _pattern(one) == _CATCH_ALL)
    return next(places, len(urls.handlers))


def _pattern(handler: Any) -> str:
    """Of a tuple, or of a url() object, which ends its own with a dollar."""
    found = handler[0] if isinstance(handler, tuple) else handler.regex.pattern
    return str(found).rstrip("$")
