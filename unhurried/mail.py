"""`email`: tell a person that it is ready. A task for a canvas, or a notice for one job."""

from typing import Any

from celery import Signature
from pydantic import ValidationError

from unhurried.binding import bound_app
from unhurried.contract import EMAIL_TASK, MailNotice
from unhurried.jobs import Job
from unhurried.notifications import notification
from unhurried.options import first_problem


class EmailHandle:
    """As a chord's body it says how many of the parts could not be done; as a link, how one job ended.

    A mail that ends a chord reaches its person even when the chord failed: it is its own errback. A
    chain is one signature to Celery, so a chain that ends in a mail says it itself:
    `(report.s() | email.s(to=...)).on_error(email.failed(to=...))`.
    """

    name = EMAIL_TASK

    def to(
        self,
        to: str,
        *,
        template: str = "ready",
        subject: str | None = None,
        link: str | None = None,
    ) -> MailNotice:
        """For `notify=`: mail this person when this one job has ended. Raises ValueError."""
        if not isinstance(to, str) or to.count("@") != 1 or not to.isprintable() or " " in to:
            raise ValueError(f"to={to!r} is not one bare address such as user@example.org")
        try:
            return MailNotice(to=to, template=template, subject=subject, link=link)
        except ValidationError as error:
            raise ValueError(first_problem(error)) from None

    def s(
        self,
        *,
        to: str,
        template: str = "ready",
        subject: str | None = None,
        link: str | None = None,
        on_error: bool = True,
    ) -> "Signature[Any]":
        """A signature for a chord's body, a link or a chain's end.

        `on_error=False` leaves out the mail about a failure. Raises ValueError.
        """
        notice = self.to(to, template=template, subject=subject, link=link)
        built = self._signature(_wire(notice))
        if on_error:
            built.link_error(self._signature({**_wire(notice), "variant": "failed"}))
        return built

    def si(self, **arguments: Any) -> "Signature[Any]":
        """As `s`, but what the previous step returned is ignored."""
        return self.s(**arguments).set(immutable=True)

    def failed(
        self,
        *,
        to: str,
        template: str = "ready",
        subject: str | None = None,
        link: str | None = None,
    ) -> "Signature[Any]":
        """The mail about a failure alone, for `link_error=` and `on_error`. Raises ValueError."""
        notice = self.to(to, template=template, subject=subject, link=link)
        return self._signature({**_wire(notice), "variant": "failed"})

    def delay(self, **arguments: Any) -> Job:
        """Send one now. Raises ValueError, CallerMisconfigured or ServiceUnavailable."""
        return Job(self.si(**arguments).apply_async().id, app=bound_app())

    def _signature(self, wire: dict[str, Any]) -> "Signature[Any]":
        return notification(self.name, wire, summary="<email>")


def _wire(notice: MailNotice) -> dict[str, Any]:
    return notice.model_dump(mode="json", exclude={"kind"}, exclude_none=True)


email = EmailHandle()
