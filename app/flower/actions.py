"""What a person decides on a page: the same as by command, under the same names, with a reason and on the record.

As Flower's own API: refused where Flower asks nobody who they are, unless its operator has opened it.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import cache, partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlparse

from flower.api import BaseApiHandler
from tornado.web import HTTPError, RequestHandler, authenticated

from app.celery import wake_all
from app.changing.decisions import Outcome, UnderWayError
from app.flower.forms import Form
from app.flower.readers import signed_in
from app.ledger.actions import AnotherDecisionError, Decision
from app.policy.changing import Cancel, Due, Expedite, Retry, What, Wish
from app.policy.subjects import OF_JOBS, flushed
from app.wiring import changing as wiring

#: Tasks that are told again from a page; more take a command, which says how many there are.
_TOLD_AGAIN_MAX: Final = 10_000
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
        if self.get_body_argument("json", ""):
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

    def write_error(self, status_code: int, **about: Any) -> None:
        """As Flower's API, which does not say how to sign in: a browser that can asks nobody, and sends the form again."""
        if status_code == HTTPStatus.UNAUTHORIZED and self.application.options.basic_auth:
            self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        super().write_error(status_code, **about)

    def _decided(self) -> Callable[[], Outcome]:
        form = Form(self.get_body_argument)
        what = form.what()
        decision = Decision(
            who=f"flower:{signed_in(self)}",
            why=form.why(),
            what=str(what),
            subject=flushed(form.account_of()) if what is What.FLUSH else str(form.subject()),
            request_id=form.uuid("request_id"),
        )
        do = _CARRIED_OUT.get(what)
        if do is None:
            raise HTTPError(HTTPStatus.BAD_REQUEST, "This cannot be decided here")
        return do(_waker(self.capp), decision, form)

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


_Wake = Callable[[], None]


def _wish(wake: _Wake, decision: Decision, form: Form) -> Callable[[], Outcome]:
    what = What(decision.what)
    wish = Due(at=form.due_at()) if what is What.DUE else _WISHES[what]
    subject = form.subject()
    if subject.kind not in OF_JOBS:
        raise HTTPError(HTTPStatus.BAD_REQUEST, f"That is not decided of a {subject.kind}")
    return partial(wiring.decisions(wake).carry_out, decision, wish, subject)


def _read(wake: _Wake, decision: Decision, form: Form) -> Callable[[], Outcome]:
    return partial(wiring.results(wake).read, decision, form.subject())


def _redeliver(wake: _Wake, decision: Decision, form: Form) -> Callable[[], Outcome]:
    return partial(
        wiring.results(wake).redeliver,
        decision,
        form.subject(),
        only=form.parts(),
        tasks_max=_TOLD_AGAIN_MAX,
    )


def _flush(wake: _Wake, decision: Decision, form: Form) -> Callable[[], Outcome]:
    return partial(wiring.lanes(wake).flush, decision, form.account_of())


def _poll(wake: _Wake, decision: Decision, form: Form) -> Callable[[], Outcome]:
    return partial(wiring.lanes(wake).poll, decision, form.uuid("id"))


def _pause(wake: _Wake, decision: Decision, form: Form) -> Callable[[], Outcome]:
    return partial(wiring.lanes(wake).pause, decision, form.lane())


def _resume(wake: _Wake, decision: Decision, form: Form) -> Callable[[], Outcome]:
    return partial(wiring.lanes(wake).resume, decision, form.lane())


_CARRIED_OUT: Final[Mapping[What, Callable[[_Wake, Decision, Form], Callable[[], Outcome]]]] = {
    What.CANCEL: _wish,
    What.EXPEDITE: _wish,
    What.RETRY: _wish,
    What.DUE: _wish,
    What.READ: _read,
    What.REDELIVER: _redeliver,
    What.FLUSH: _flush,
    What.POLL: _poll,
    What.PAUSE: _pause,
    What.RESUME: _resume,
}
