"""Requests as plain JSON values: SDK objects dumped, everything that JSON cannot carry refused by place."""

import math
from collections.abc import Mapping
from typing import Any, Final

from unhurried.errors import CallError

DEPTH_MAX: Final = 64


def plain(value: Any, place: str = "request", depth: int = 0) -> Any:
    """The value as dicts, lists and scalars. Raises CallError that names the place."""
    if depth > DEPTH_MAX:
        raise CallError(f"{place} is nested deeper than {DEPTH_MAX} levels")
    match value:
        case None | bool() | int():
            return value
        case str():
            return _text(value, place)
        case float():
            if not math.isfinite(value):
                raise CallError(f"{place} is {value}, which JSON cannot carry")
            return value
        case Mapping():
            return {
                _key(key, place): plain(inner, f"{place}.{key}"[:200], depth + 1)
                for key, inner in value.items()
            }
        case list() | tuple():
            return [plain(one, f"{place}[{index}]", depth + 1) for index, one in enumerate(value)]
        case _ if hasattr(value, "model_dump") and not isinstance(value, type):
            return plain(_dumped(value), place, depth + 1)
        case _:
            raise CallError(f"{place} is a {type(value).__name__}, which JSON cannot carry")


def _dumped(model: Any) -> Any:
    """As the SDKs themselves send a model that they returned: without the fields they added to it."""
    return model.model_dump(
        mode="json",
        exclude_unset=True,
        by_alias=True,
        exclude=getattr(model, "__api_exclude__", None),
    )


def _key(key: Any, place: str) -> str:
    if not isinstance(key, str):
        raise CallError(f"{place} has a key that is not text: {key!r}")
    return _text(key, place)


def _text(text: str, place: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CallError(f"{place} holds a lone surrogate, which is not text") from None
    return text
