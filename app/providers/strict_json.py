"""JSON as the standard says it, and no more: what is not that never reaches a value."""

import json
import math
from typing import Any, Final

#: U+FFFD, what a reader sees where a provider sent half a character.
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


class NotJsonError(ValueError):
    """The bytes are not one strict JSON value; says why."""


class TwiceNamed(dict[str, Any]):
    """An object in which one name occurs twice: which of the values was meant, nobody can tell."""


def parse(raw: bytes) -> Any:
    """The value of strict UTF-8 JSON. Raises NotJsonError, whatever is wrong with it.

    NaN and Infinity (also as 1e999), integers of thousands of digits, and nesting beyond the
    interpreter's stack are wrong. An object that names a field twice is a `TwiceNamed`.
    """
    try:
        return json.loads(
            raw.decode(),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_fields,
        )
    except RecursionError:
        raise NotJsonError("nested too deep") from None
    except ValueError as error:  # also UnicodeDecodeError and JSONDecodeError
        raise NotJsonError(str(error)[:200]) from None


def parse_object(raw: bytes) -> dict[str, Any]:
    """The fields of a strict JSON object that names each of them once. Raises NotJsonError."""
    value = parse(raw)
    if isinstance(value, TwiceNamed):
        raise NotJsonError("a field is named twice")
    if not isinstance(value, dict):
        raise NotJsonError("not an object")
    return value


def encode(value: Any) -> bytes:
    """Compact ASCII JSON. Raises NotJsonError where the value is nested too deep to be written."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except RecursionError:
        raise NotJsonError("nested too deep") from None


def storable(text: str) -> str:
    """The text without lone surrogates and NULs, which neither UTF-8 nor PostgreSQL can hold."""
    if text.isascii() and "\0" not in text:
        return text
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return paired.replace("\0", _REPLACEMENT)


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else TwiceNamed(fields)


def _refuse_constant(name: str) -> Any:
    raise NotJsonError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotJsonError("a number beyond every bound")
    return number
