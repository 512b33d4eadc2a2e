"""What every page has in common: Flower's log-in and looks, our templates, JSON, and a thread that reads."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from flower.views import BaseHandler
from tornado.template import Loader, Template
from tornado.web import authenticated

from app.flower import offers
from app.flower.readers import may_act
from app.flower.sparkline import sparkline
from app.flower.words import (
    BATCH_FINDINGS,
    HEALTH_WORDS,
    JOB_TONES,
    SEVERITY_WORDS,
    VERDICT_WORDS,
    came_of,
    fact,
    moment,
    usd,
)
from app.ledger.depths import SHOWN
from app.observe.reading import Seen
from app.policy.findings import counted, spoken
from app.policy.plain import plain
from app.settings import settings
from app.standing.archive import LedgerAwayError
from app.wiring import metrics

HERE: Final = Path(__file__).parent
#: Rows of one page.
ROWS: Final = 50
#: Pages that are asked for together, by people or by their browsers, are answered from one reading.
_READ_AGAIN_S: Final = 2.0

#: What our templates say things with.
_WORDS: Final[Mapping[str, Any]] = {
    "spoken": spoken,
    "counted": counted,
    "sparkline": partial(sparkline, span=SHOWN),
    "health_words": HEALTH_WORDS,
    "severity_words": SEVERITY_WORDS,
    "verdict_words": VERDICT_WORDS,
    "moment": moment,
    "usd": usd,
    "fact": fact,
    "came_of": came_of,
    "job_tones": JOB_TONES,
    "batch_findings": BATCH_FINDINGS,
    "of_row": offers.of_row,
    "of_task": offers.of_task,
    "of_reader": offers.of_reader,
    "age": lambda seconds: timedelta(seconds=seconds),
}

Found = TypeVar("Found")


async def aside(do: Callable[[], Found]) -> Found:
    """Do something that blocks, one at a time, beside Flower's event loop."""
    return await asyncio.get_running_loop().run_in_executor(_reader(), do)


@cache
def _reader() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="pages")


async def seen() -> Seen:
    """How everything stands, not older than some seconds; where it cannot be read, as it last stood."""
    monitor = metrics.monitor()
    older_than_s = min(_READ_AGAIN_S, settings().metrics_every_s)
    await aside(lambda: monitor.refresh_if_older(older_than_s))
    return monitor.seen()


class Page(BaseHandler):  # type: ignore[misc]  # Flower is not typed
    """A page that reads. It answers JSON where `json=1` is asked for."""

    @authenticated
    async def get(self, *names: str) -> None:
        """The page; where the ledger cannot be read, why."""
        try:
            await self.show(*names)
        except LedgerAwayError as away:
            self.set_status(HTTPStatus.SERVICE_UNAVAILABLE)
            self.answer("away.html", away=str(away))

    async def show(self, *names: str) -> None:
        """Read and answer."""
        raise NotImplementedError

    def answer(self, template: str, **named: Any) -> None:
        """Answer with what is named, as a page or as JSON."""
        if self.wanted("json"):
            self.set_header("Content-Type", "application/json")
            self.write(_as_json(named))
            return
        # One name: Flower adds functions of its own to those of a template, and new ones with each release.
        self.render(template, page={**_WORDS, **self._about(), **named})

    def _about(self) -> dict[str, Any]:
        return {
            "read_only": self.read_only,
            "query": self.query,
            "address": self.address,
            "may_act": may_act(self),
        }

    def address(self, **changed: str | int) -> str:
        """This page's own, with something of what it asks for changed; empty takes a name out."""
        asked = {name: str(one) for name, one in {**self.query, **changed}.items() if one}
        return f"?{urlencode(asked)}" if asked else "?"

    def wanted(self, name: str) -> str:
        """What the address says for a name, as it is; empty where it says nothing."""
        found: str = self.get_query_argument(name, "")
        return found

    @property
    def query(self) -> dict[str, str]:
        """What the address asks for."""
        return {name: self.wanted(name) for name in self.request.query_arguments}

    @property
    def read_only(self) -> bool:
        """Whether Flower lets nobody change anything."""
        return bool(getattr(self.application.options, "read_only", False))

    def number(self, name: str) -> int:
        """A number that counts from 1; 1 where the address says none."""
        found = self.wanted(name)
        return max(int(found), 1) if found.isdecimal() and len(found) < 10 else 1  # noqa: PLR2004 - digits

    def set_default_headers(self) -> None:
        """What Flower sets; and nobody keeps or frames what only operators see."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Security-Policy", "frame-ancestors 'none'")

    def write_error(self, status_code: int, **about: Any) -> None:
        """As Flower does; but of a bug it would show the message, which may quote anybody."""
        if status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
            self.set_header("Content-Type", "text/plain; charset=UTF-8")
            self.finish("This page has failed; Flower's log says where.\n")
        else:
            super().write_error(status_code, **about)

    def get_template_path(self) -> str:
        """Ours."""
        return str(HERE / "templates")

    def create_template_loader(self, template_path: str) -> Loader:
        """Ours first, then Flower's, so that our pages extend its base."""
        return _Loader(template_path, theirs=self.settings["template_path"])


class _Loader(Loader):
    def __init__(self, ours: str, *, theirs: str) -> None:
        super().__init__(ours)
        self._theirs = theirs

    def resolve_path(self, name: str, parent_path: str | None = None) -> str:  # noqa: ARG002 - the base's
        """Names are the same in both directories."""
        return name

    def _create_template(self, name: str) -> Template:
        places = (Path(root) / name for root in (self.root, self._theirs))
        path = next(place for place in places if place.is_file())
        return Template(path.read_bytes(), name=name, loader=self)


def _as_json(named: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = plain(named)
    return found
