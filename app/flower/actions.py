"""What a person decides on a page: the same as by command, under the same names, with a reason and on the record.

As Flower's own API: refused where Flower asks nobody who they are, unless its operator has opened it.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import cache, partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlparse
from uuid import UUID

from flower.api import BaseApiHandler
from tornado.web import HTTPError, RequestHandler, authenticated

from app.celery import wake_all
from app.changing.decisions import Outcome, UnderWayError
from app.flower.readers import signed_in
from app.ledger.actions import AnotherDecisionError, Decision
from app.ledger.lanes import LaneName
from app.policy.changing import Cancel, Expedite, Retry, What, Wish
from app.policy.subjects import Kind, Subject
from app.wiring import changing as wiring

#: A reason is a sentence or two.
_WHY_CHARACTERS_MAX: Final = 500
#: What an index of the ledger can hold.
_NAME_CHARACTERS_MAX: Final = 500
#: What is wished of a batch's jobs, or of one job.
_WISHES: Final[Mapping[What, Wish]] = {
    What.CANCEL: Cancel(),
    What.EXPEDITE: Expedite(),
    What.RETRY: Retry(),
}


class Act(BaseApiHandler):  # type: ignore[misc]  # Flower is not typed
    """One decision: POST with `what`, `kind`, `id` (or a lane), `why`, `request_id`. The same request acts once."""

    @authenticated
    async def post(self) -> None:
        """Carry it out, then lead back to the page it came from, which shows what came of it.

        400 without a reason, 403 read-only or from another site, 409 where it cannot be done now.
        """
        if getattr(self.application.options, "read_only", False):
            raise HTTPError(HTTPStatus.FORBIDDEN, "Flower is in read-only mode")
        if not self.settings.get("xsrf_cookies"):
            # Flower before 2.2 asks for no token, so Tornado has not looked for ours.
            self.check_xsrf_cookie()
        do = self._decided()
        try:
            # Flower's own threads: what takes long for a hundred thousand jobs keeps no page waiting.
            outcome = await asyncio.get_running_loop().run_in_executor(None, do)
        except ValueError as refusal:
            raise HTTPError(HTTPStatus.BAD_REQUEST, str(refusal)) from refusal
        except (UnderWayError, AnotherDecisionError) as refusal:
            raise HTTPError(HTTPStatus.CONFLICT, str(refusal)) from refusal
        if self._said("json"):
            self.write({"outcome": outcome})
            return
        self.redirect(self._back(), status=HTTPStatus.SEE_OTHER)

    def check_xsrf_cookie(self) -> None:
        """Always: a browser that has signed in says so to every site that asks it to."""
        site = self.request.headers.get("Sec-Fetch-Site")
        if site is not None and site not in ("same-origin", "none"):
            raise HTTPError(HTTPStatus.FORBIDDEN, "Cross-site request forbidden")
        # Not Flower's own, which lets basic authentication pass without a token.
        RequestHandler.check_xsrf_cookie(self)

    def _decided(self) -> Callable[[], Outcome]:
        what = self._what()
        subject = self._subject()
        decision = Decision(
            who=f"flower:{signed_in(self)}",
            why=self._why(),
            what=str(what),
            subject=str(subject),
            request_id=self._uuid("request_id"),
        )
        wake = _waker(self.capp)
        match what:
            case What.CANCEL | What.EXPEDITE | What.RETRY:
                return partial(wiring.decisions(wake).carry_out, decision, _WISHES[what], subject)
            case What.POLL:
                return partial(wiring.lanes(wake).poll, decision, UUID(subject.id))
            case What.READ:
                return partial(wiring.results(wake).read, decision, subject)
            case What.PAUSE:
                return partial(wiring.lanes(wake).pause, decision, self._lane())
            case What.RESUME:
                return partial(wiring.lanes(wake).resume, decision, self._lane())
            case _:
                raise HTTPError(HTTPStatus.BAD_REQUEST, "This cannot be decided here")

    def _what(self) -> What:
        try:
            return What(self._said("what"))
        except ValueError:
            raise HTTPError(HTTPStatus.BAD_REQUEST, "Say what is to be done") from None

    def _subject(self) -> Subject:
        kind = self._said("kind")
        if kind in (Kind.BATCH, Kind.JOB):
            return Subject(kind=Kind(kind), id=str(self._uuid("id")))
        if kind in (Kind.TASK, Kind.CONSUMER):
            return Subject(kind=Kind(kind), id=self._name("id"))
        if kind == Kind.LANE:
            return Subject(kind=Kind.LANE, id=str(self._lane()))
        raise HTTPError(HTTPStatus.BAD_REQUEST, "Say what it is about")

    def _lane(self) -> LaneName:
        provider, account = self._said("provider"), self._said("account")
        if not provider or not account:
            raise HTTPError(HTTPStatus.BAD_REQUEST, "Name provider and account")
        return LaneName(provider, account, self._said("model"))

    def _why(self) -> str:
        why = self._said("why").strip()
        if not why or len(why) > _WHY_CHARACTERS_MAX:
            raise HTTPError(
                HTTPStatus.BAD_REQUEST, "Say why, so that somebody else understands it later"
            )
        return why

    def _name(self, name: str) -> str:
        said = self._said(name)
        if not said or len(said) > _NAME_CHARACTERS_MAX or "\0" in said:
            raise HTTPError(HTTPStatus.BAD_REQUEST, f"{name} is no name")
        return said

    def _uuid(self, name: str) -> UUID:
        try:
            return UUID(self._said(name))
        except ValueError:
            raise HTTPError(HTTPStatus.BAD_REQUEST, f"{name} is no id") from None

    def _said(self, name: str) -> str:
        found: str = self.get_body_argument(name, "")
        return found

    def _back(self) -> str:
        """The page that it came from, if that is one of Flower's; else the first of ours."""
        came_from = urlparse(self.request.headers.get("Referer", ""))
        if came_from.netloc == self.request.host and came_from.path.startswith("/"):
            return f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path
        here: str = self.reverse_url("batches")
        return here


@cache
def _waker(app: Any) -> Callable[[], None]:
    """The same one each time: whoever carries decisions out is made once for it."""
    return partial(wake_all, app)
