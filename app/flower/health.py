"""Health under Flower: whether it answers, and whether it can tell anything. They ask nobody who they are."""

from http import HTTPStatus

from tornado.web import RequestHandler

from app.flower.page import aside
from app.wiring import metrics

#: A probe of a Flower that shows no metrics reads by itself, at most so often.
_READ_AGAIN_S = 15.0


class Live(RequestHandler):
    """The process answers."""

    def get(self) -> None:
        """Always well."""
        self.write({"status": "live"})


class Ready(RequestHandler):
    """The ledger could be read lately."""

    async def get(self) -> None:
        """503 where it could not. A full queue is no reason: a restart would not help it."""
        monitor = metrics.monitor()
        await aside(lambda: monitor.refresh_if_older(_READ_AGAIN_S))
        well = monitor.ready()
        self.set_status(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE)
        self.write({"status": "ready" if well else "not ready"})
