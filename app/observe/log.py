"""Log lines: one per event, named fields, never a prompt, an answer, a key or an address."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from structlog.typing import Processor

from app.observe.quiet import keep_quiet

#: Fields whose value must never reach a log, whoever passes it.
_FORBIDDEN: Final = frozenset({"request", "answer", "output", "body", "api_key", "to", "url"})


def configure(level: str = "INFO", form: str = "logfmt") -> None:
    """Write one line per event to standard error, as `event key=value` or as a JSON object. May be repeated.

    As JSON, the lines of libraries are objects too, with their text as `event`; Celery must be kept from
    setting up handlers of its own.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    )
    _configure_libraries(level, form, shared, render)
    keep_quiet()
    structlog.configure(
        processors=[*shared, _refuse_content, structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def tell(event: str, /, *, warning: bool = False, debug: bool = False, **fields: Any) -> None:
    """Say that something was done. `warning` is for what a person may have to act on, `debug` for looking."""
    logger = structlog.get_logger()
    say = logger.warning if warning else logger.debug if debug else logger.info
    say(event, **fields)


def _configure_libraries(
    level: str,
    form: str,
    shared: list[Processor],
    render: Processor,
) -> None:
    if form != "json":
        logging.basicConfig(level=level, stream=sys.stderr, format="%(message)s")
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                render,
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _refuse_content(
    _logger: Any, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    leaked = _FORBIDDEN & fields.keys()
    assert not leaked, f"a log line must not carry {sorted(leaked)}"
    return fields
