"""Celery tasks whose arguments and errors stay out of events, of Flower's pages and of its inspection."""

from typing import Any, Final

from celery import Task
from celery.worker.request import Request

from app.observe.quiet import described, summary

#: Named by a string, since a worker alone needs what it imports.
_REQUEST: Final = f"{__name__}:QuietRequest"


class QuietTask(Task):  # type: ignore[type-arg]  # the stubs' Task is generic, Celery's is not
    """A task of the service."""

    abstract = True
    Request = _REQUEST


class QuietRequest(Request):
    """A message as a worker of the service shows it."""

    _failure: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._argsrepr: Any = summary(str(self.argsrepr))
        self._kwargsrepr: Any = summary(str(self.kwargsrepr))

    def info(self, safe: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """What inspection shows of a running task: never its arguments."""
        return super().info(safe=True)

    def on_failure(
        self,
        exc_info: Any,
        send_failed_event: bool = True,  # noqa: FBT001, FBT002 - Celery's signature
        return_ok: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:
        """Celery tells of the failure; the error is kept for what it tells."""
        self._failure = exc_info.exception
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's signature
        """An event without the message of what went wrong."""
        if "exception" in fields:
            fields |= {"exception": described(_raised(self._failure)), "traceback": None}
        super().send_event(type, **fields)


def _raised(failure: Any) -> BaseException:
    """The error itself: Celery wraps it for the way between processes."""
    found = getattr(failure, "exc", failure)
    return found if isinstance(found, BaseException) else RuntimeError()
