"""Spans of time as people write them."""

import math
import re
from datetime import timedelta
from typing import Final

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(span: str | float | timedelta) -> float:
    """A span as seconds: a number, a timedelta, or text such as "90s", "15m", "8h", "2d".

    Raises ValueError where it is none of these, negative or without end.
    """
    match span:
        case timedelta():
            found = span.total_seconds()
        case str():
            written = _SPAN.fullmatch(span.strip())
            if written is None:
                raise ValueError(f"{span!r} is no span: write it as 90s, 15m, 8h or 2d")
            found = float(written.group(1)) * _UNITS_S[written.group(2)]
        case int() | float():
            found = float(span)
        case _:
            raise ValueError(
                f"{span!r} is no span: give seconds, a timedelta, or text such as '8h'"
            )
    if not math.isfinite(found) or found < 0:
        raise ValueError(f"{span!r} is no span: it must be finite and not negative")
    return found
