"""Requests as plain JSON values: SDK objects dumped, everything that JSON cannot carry refused by place."""

import math
import re
from collections.abc import Mapping
from os import PathLike
from typing import Any, Final

from unhurried.contract import INLINE_PART_BYTES_MAX
from unhurried.errors import CallError

DEPTH_MAX: Final = 64

#: Where both providers' requests have base64 that is no URL.
_MEDIA_FIELDS: Final = frozenset({"data", "file_data"})
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=_\r\n-]+")
_LOOKED_AT: Final = 4096
_DATA_URL_HEAD: Final = 200


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
            _require_small(value, place)
            return {
                _key(key, place): plain(inner, f"{place}.{key}"[:200], depth + 1)
                for key, inner in value.items()
            }
        case list() | tuple():
            return [plain(one, f"{place}[{index}]", depth + 1) for index, one in enumerate(value)]
        case _ if hasattr(value, "model_dump") and not isinstance(value, type):
            return plain(_dumped(value), place, depth + 1)
        case bytes() | PathLike():
            raise CallError(
                f"{place} is a {type(value).__name__}, which JSON cannot carry: attach({place}) puts it into "
                "storage, and its .base64 or .data_url stands for it here"
            )
        case _:
            raise CallError(f"{place} is a {type(value).__name__}, which JSON cannot carry")


def _require_small(fields: Mapping[Any, Any], place: str) -> None:
    """Raise CallError where a field holds an image, a document or audio too large for a message.

    Long texts are none: they are what is asked about, up to the operator's limit for a request.
    """
    for name, value in fields.items():
        if isinstance(value, str) and len(value) > INLINE_PART_BYTES_MAX and _is_media(name, value):
            raise CallError(
                f"{place}.{name} holds {len(value):,} bytes of base64; above "
                f"{INLINE_PART_BYTES_MAX:,} say where it is instead: a URL, the id of a file at the "
                "provider, or unhurried.attach(...)"
            )


def _is_media(name: Any, value: str) -> bool:
    if value.startswith("data:"):
        return ";base64," in value[:_DATA_URL_HEAD]
    return name in _MEDIA_FIELDS and _BASE64.fullmatch(value[:_LOOKED_AT]) is not None


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
