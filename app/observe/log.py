"""Log lines: one per event, named fields, never a prompt, an answer, a key or an address."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

#: Fields whose value must never reach a log, whoever passes it.
_FORBIDDEN: Final = frozenset({"request", "answer", "output", "body", "api_key", "to", "url"})


def configure(level: str = "INFO") -> None:
    """Write one `event key=value` line per event to standard error. May be repeated."""
    logging.basicConfig(level=level, stream=sys.stderr, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _refuse_content,
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def tell(event: str, /, *, warning: bool = False, **fields: Any) -> None:
    """Say that something was done. `warning` is for what a person may have to act on."""
    logger = structlog.get_logger()
    (logger.warning if warning else logger.info)(event, **fields)


def _refuse_content(
    _logger: Any, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    leaked = _FORBIDDEN & fields.keys()
    assert not leaked, f"a log line must not carry {sorted(leaked)}"
    return fields
