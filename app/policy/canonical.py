"""One spelling for one request: canonical ASCII JSON and its fingerprint."""

import hashlib
import json
import math
from typing import Any, Final

#: A request nested deeper than this is a mistake or an attack, and breaks parsers downstream.
DEPTH_MAX: Final = 64


class NotCanonical(ValueError):  # noqa: N818 - reads as what it says
    """A value that JSON between strangers cannot carry; the text names the place."""


def encode(value: object, *, as_written: bool = False) -> bytes:
    """Canonical JSON: sorted keys, no blanks, ASCII only, so that U+2028 never splits a line.

    `as_written` keeps the keys in their order: a model fills in a schema's properties in that order.

    Raises NotCanonical for NaN, infinities, lone surrogates, keys that are not text, values that are
    not JSON, and nesting deeper than DEPTH_MAX.
    """
    _check(value, "request", 0)
    return json.dumps(
        value, sort_keys=not as_written, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode()


def fingerprint(endpoint: str, canonical: bytes) -> bytes:
    """SHA-256 that tells one request from another, at one endpoint."""
    return hashlib.sha256(endpoint.encode() + b"\0" + canonical).digest()


def _check(value: Any, place: str, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise NotCanonical(f"{place} is nested deeper than {DEPTH_MAX} levels")
    match value:
        case dict():
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise NotCanonical(f"{place} has a key that is not text: {key!r}")
                _check_leaf(key, place)
                _check(inner, f"{place}.{key[:40]}", depth + 1)
        case list() | tuple():
            for index, inner in enumerate(value):
                _check(inner, f"{place}[{index}]", depth + 1)
        case _:
            _check_leaf(value, place)


def _check_leaf(value: Any, place: str) -> None:
    match value:
        case None | bool():
            return
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise NotCanonical(f"{place} holds a lone surrogate, which is not text") from None
        case int() if abs(value) >= 1 << 63:
            raise NotCanonical(f"{place} is an integer beyond 64 bits")
        case float() if not math.isfinite(value):
            raise NotCanonical(f"{place} is {value}, which JSON cannot carry")
        case int() | float():
            return
        case _:
            raise NotCanonical(f"{place} is a {type(value).__name__}, which JSON cannot carry")
