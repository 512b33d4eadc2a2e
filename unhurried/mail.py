"""`email`: tell a person that it is ready. A task for a canvas, or a notice for one job."""

from typing import Any

from celery import Signature

from unhurried.binding import bound_app
from unhurried.contract import (
    CONTRACT_HEADER,
    CONTRACT_VERSION,
    EMAIL_TASK,
    NOTIFY_QUEUE,
    MailNotice,
)
from unhurried.jobs import Job
from unhurried.publishing import stub


class EmailHandle:
    """As a chord's body it says how many of the parts could not be done; as a link, how one job ended.

    A mail that ends a chord reaches its person even when the chord failed: it is its own errback.
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
        """For `notify=`: mail this person when this one job has ended."""
        return MailNotice(to=to, template=template, subject=subject, link=link)

    def s(
        self,
        *,
        to: str,
        template: str = "ready",
        subject: str | None = None,
        link: str | None = None,
        on_error: bool = True,
    ) -> "Signature[Any]":
        """A signature for a chord's body, a link or a chain's end."""
        notice = self.to(to, template=template, subject=subject, link=link)
        wire = notice.model_dump(mode="json", exclude={"kind"}, exclude_none=True)
        built = self._signature(wire, immutable=False)
        if on_error:
            built.link_error(self._signature({**wire, "variant": "failed"}, immutable=False))
        return built

    def si(self, **arguments: Any) -> "Signature[Any]":
        """As `s`, but what the previous step returned is ignored."""
        return self.s(**arguments).set(immutable=True)

    def delay(self, **arguments: Any) -> Job:
        """Send one now."""
        return Job(self.si(**arguments).apply_async().id, app=bound_app())

    def _signature(self, wire: dict[str, Any], *, immutable: bool) -> "Signature[Any]":
        app = bound_app()
        stub(app, self.name)
        return app.signature(
            self.name,
            kwargs=wire,
            immutable=immutable,
            options={
                "queue": NOTIFY_QUEUE,
                "serializer": "json",
                "ignore_result": False,
                "argsrepr": "<email>",
                "kwargsrepr": "{}",
                "headers": {CONTRACT_HEADER: CONTRACT_VERSION},
            },
        )


email = EmailHandle()
