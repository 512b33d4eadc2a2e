"""Keep what callers and providers say out of logs and out of Flower, whoever writes there.

An error's message may quote a prompt: a provider's refusal does, Celery repeats it for a chord, the ledger's
driver shows parameters and pydantic the value. So a message is left out unless its kind says nothing but
that a server is away; the kind, its code and where it was raised stay.
"""

import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from app.policy.task_events import NO_ARGUMENTS

#: They say where a server is and what it did not do.
_PLAIN: Final = (RedisError, OperationalError, OSError)
#: What a summary of ours looks like; the representation of a tuple or of a dict never does.
_SUMMARY: Final = re.compile(r"<[\w ./:@-]{1,200}>")
_NO_KEYWORDS: Final = "{}"

#: Loggers that write bodies, headers or arguments when they are asked for everything.
_TALKATIVE: Final = (
    "alembic",
    "amqp",
    "anthropic",
    "asyncio",
    "celery.concurrency",
    "celery.pool",
    "httpcore2",
    "httpx2",
    "kombu",
    "openai",
    "urllib3",
)


def described(error: BaseException) -> str:
    """What is said of an error: its kind, its code, and its message where it quotes nobody."""
    kind = type(error).__name__
    if isinstance(error, _PLAIN):
        return f"{kind}: {error}"
    code = getattr(error, "code", None) or _violated(error)
    return f"{kind}({code})" if isinstance(code, str) else kind


def _violated(error: BaseException) -> str | None:
    """What the ledger's server says of a statement: the state's number and the constraint's name."""
    cause = getattr(error, "orig", None)
    constraint = getattr(getattr(cause, "diag", None), "constraint_name", None)
    found = [str(one) for one in (getattr(cause, "sqlstate", None), constraint) if one]
    return " ".join(found) or None


def told(error: BaseException | None) -> str:
    """An error and those it came from, each with where it was raised, without their messages."""
    lines: list[str] = []
    while error is not None:
        lines = [*traceback.format_tb(error.__traceback__), f"{described(error)}\n", *lines]
        error = error.__cause__ or error.__context__
    return "".join(lines).rstrip()


def summary(arguments: str) -> str:
    """A message's own words for its arguments, if they are ours; nothing of them otherwise."""
    safe = arguments == _NO_KEYWORDS or _SUMMARY.fullmatch(arguments)
    return arguments if safe else NO_ARGUMENTS


def keep_quiet() -> None:
    """Hold every logger of this process to that, and what nobody caught. May be repeated."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    make = logging.getLogRecordFactory()
    if not isinstance(make, _Records):
        logging.setLogRecordFactory(_Records(make))
    # Whoever has hooks of its own, as a test runner, keeps them.
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _unhandled
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _unhandled_in_thread


class _Records:
    """Makes log records without messages of errors, wherever a library has put them."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        error = _handled(record)
        if isinstance(record.args, dict):
            plain = _plain if record.name.startswith("celery") else _any
            record.args = {name: plain(name, value, error) for name, value in record.args.items()}
        elif isinstance(record.args, tuple):
            record.args = tuple(_without_message(one) for one in record.args)
        if error is not None:
            record.exc_info, record.exc_text = None, told(error)
        return record


def _handled(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if isinstance(record.exc_info, tuple) else None


def _without_message(value: Any) -> Any:
    return described(value) if isinstance(value, BaseException) else value


def _plain(name: str, value: Any, error: BaseException | None) -> Any:
    """A field of Celery's line about a task."""
    match name:
        case "exc":
            return described(error) if error is not None else NO_ARGUMENTS
        case "args" | "kwargs":
            return summary(str(value))
        case "traceback" | "return_value":
            return NO_ARGUMENTS
        case _:
            return _without_message(value)


def _any(_name: str, value: Any, _error: BaseException | None) -> Any:
    return _without_message(value)


def _unhandled(
    _kind: type[BaseException], error: BaseException, _where: TracebackType | None
) -> None:
    sys.stderr.write(told(error) + "\n")


def _unhandled_in_thread(raised: threading.ExceptHookArgs) -> None:
    sys.stderr.write(told(raised.exc_value) + "\n")
