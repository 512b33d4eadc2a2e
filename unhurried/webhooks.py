"""`webhook`: tell a program that it is ready. A task for a canvas, or a notice for one job."""

from typing import Any

from celery import Signature
from pydantic import ValidationError

from unhurried.binding import bound_app
from unhurried.contract import WEBHOOK_TASK, WebhookNotice
from unhurried.jobs import Job
from unhurried.notifications import notification


class WebhookHandle:
    """As a chord's body it says how many of the parts could not be done; as a link, how one job ended.

    A receiver is named, never given by address: the service knows its URL and its secrets. A webhook
    that ends a chord is sent even when the chord failed: it is its own errback. A chain is one
    signature to Celery, so a chain that ends in a webhook says it itself:
    `(report.s() | webhook.s("crm")).on_error(webhook.failed("crm"))`.
    """

    name = WEBHOOK_TASK

    def to(self, receiver: str) -> WebhookNotice:
        """For `notify=`: tell this receiver when this one job has ended. Raises ValueError."""
        try:
            return WebhookNotice(kind="webhook", receiver=receiver)
        except ValidationError:
            raise ValueError(
                f"{receiver!r} is no receiver's name: up to 64 of A-Z, a-z, 0-9, dot, - and _"
            ) from None

    def s(self, receiver: str, *, on_error: bool = True) -> "Signature[Any]":
        """A signature for a chord's body, a link or a chain's end.

        `on_error=False` leaves out the webhook about a failure. Raises ValueError.
        """
        built = self._signature(receiver)
        if on_error:
            built.link_error(self.failed(receiver))
        return built

    def si(self, receiver: str, *, on_error: bool = True) -> "Signature[Any]":
        """As `s`, but what the previous step returned is ignored."""
        return self.s(receiver, on_error=on_error).set(immutable=True)

    def failed(self, receiver: str) -> "Signature[Any]":
        """The webhook about a failure alone, for `link_error=` and `on_error`. Raises ValueError."""
        return self._signature(receiver, variant="failed")

    def delay(self, receiver: str) -> Job:
        """Send one now. Raises ValueError, CallerMisconfigured or ServiceUnavailable."""
        return Job(self.si(receiver).apply_async().id, app=bound_app())

    def _signature(self, receiver: str, **variant: str) -> "Signature[Any]":
        wire = {"receiver": self.to(receiver).receiver, **variant}
        return notification(self.name, wire, summary=f"<webhook {receiver}>")


webhook = WebhookHandle()
