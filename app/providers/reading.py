"""Reads fields that a provider may have left out, set to null, or typed otherwise."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from app.providers.strict_json import storable

#: A larger count is a provider's mistake: no answer has a billion tokens, no batch as many requests, and what
#: so many would cost is more than the ledger counts to.
_COUNT_MAX: Final = 10**9


def fields(value: Any) -> Mapping[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> Sequence[Any]:
    """The array, or an empty one."""
    return value if isinstance(value, list) else ()


def text(value: Any, *, longest: int = 500) -> str | None:
    """A text that says something, cut to `longest` and storable; None for "", null and the rest."""
    return storable(value[:longest]) if isinstance(value, str) and value else None


def count(value: Any) -> int:
    """A count of something; 0 for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 <= value <= _COUNT_MAX else 0


def are_counts(*values: Any) -> bool:
    """Whether each is a count, or is not there. What is neither may stand for any number."""
    return all(value is None or value == 0 or count(value) > 0 for value in values)


def moment(value: Any) -> datetime | None:
    """An RFC 3339 text or Unix seconds as an aware time; None for what is neither."""
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value)
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
